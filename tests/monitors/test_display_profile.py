"""However the stand-in shows a name, the difference is explained; two names that differ are never taken for each other.

Limits, each with its reason (a new folder may take such a monitor for another's; what the folder's own store made, it
knows by ID):

* A cut name of fewer than `SHORTEST_CUT` characters, without its escapes, explains nothing: too many names begin
  like that.
* Two changes of the same characters at once (`BOTH_CHANGE`) are not taken apart where a name has such characters: each
  is looked for in what was asked for, not in what the other makes of it. Only ASCII names come through every pair.
* Three or more rounds of escapes, if the name holds escapes of its own: text is freed from escapes three times only.
* Half a name in NFD: a cut between a letter and its sign, or within a Korean syllable, leaves another letter.
* A port that is shown as another one (`default-ports` behind a way that hides ports) is another port.
"""

from __future__ import annotations

import html
import json
import unicodedata
from itertools import combinations

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from bulkload.monitors.alterations import LONGEST_TEXT, SHORTEST_CUT, Alteration, Lengths, text_alterations
from bulkload.monitors.display_profile import (
    UNKNOWN,
    DisplayProfile,
    Observation,
    alterations_between,
    learn_profile,
    without_display_differences,
)
from bulkload.monitors.identity import Identity, asked_identity, listed_identity
from bulkload.sandbox.alterations import DISPLAY_RULES, shown_by
from bulkload.stages.candidates import Candidates

EVERY = frozenset(Alteration)
OF_TYPES = ("upper-types", "short-types")  # a monitor's type is not part of this module
SINGLE = (*(way for way in DISPLAY_RULES if way not in OF_TYPES), "cut=20", "cut=12", "cut-bytes=20")
CASE, LOSS = {"upper-names", "lower-names"}, {"question-marks", "ascii-only", "bmp-only"}
FORMS, CUTS = {"decomposed", "compatible"}, {"cut", "cut-bytes", "cut=20", "cut=12", "cut-bytes=20"}
BOTH_CHANGE = tuple(
    {one, other}
    for some, others in ((CASE, LOSS), (FORMS, LOSS), (FORMS, CUTS), (CASE, FORMS), (LOSS, CUTS), ({"blanks"}, LOSS))
    for one in some
    for other in others
)
TOO_MANY = ({"escapes", "escapes-twice"},)
OTHER_PORT = tuple({"default-ports", way} for way in ("no-ports", "empty-ports", "null-ports"))
PAIRS = [
    f"{one}+{other}"
    for one, other in (
        (first, second) for some in combinations(DISPLAY_RULES, 2) for first, second in (some, some[::-1])
    )
    if not {one, other} & {*OF_TYPES} and {one, other} not in (*OTHER_PORT, *TOO_MANY)
]
APART = [ways for ways in PAIRS if {*ways.split("+")} not in BOTH_CHANGE]
PIECES = (
    *("mail", "MX 12", "two  blanks", "& <b>", "\"q\" 'r'", "R&D", "AT&amp;T", "&lt", "&#39;", "…", "...", "?", "`\\"),
    *("é", "Ünï", "🟢", "東京", "ﬁne", "²", "½", "ß", "İ", "ı", "e\u0301", "한글", "Σς", "Ⅷ", "ａ", "𝒜", "\u212b", "ŉ"),
    *("👨\u200d👩\u200d👧", "नमस्ते", "עברית", "\u00a0", "\u3000", "\u200b", "\u202e", "\ufeff", "\ufffd", "x" * 25),
)
CHARACTERS = st.characters(codec="utf-8")  # lone surrogates are in no file
NAMES = (
    st.one_of(
        st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join),
        st.text(CHARACTERS, min_size=1, max_size=255),
        st.text(st.characters(max_codepoint=0x24F), min_size=1, max_size=60),
    )
    .map(lambda text: unicodedata.normalize("NFC", text.strip())[:255].strip())
    .filter(bool)
)
PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=60).map(str.strip).filter(bool)
WORDS = st.text(st.sampled_from("abcdefgh0123456789 "), min_size=1, max_size=40).map(str.strip).filter(bool)


def asked_and_shown(name: str, ways: str, port: int | None = None) -> tuple[Identity, Identity]:
    """A monitor as it was asked for, and as the stand-in shows it."""
    body: dict[str, object] = {"name": name, "hostname": "mx1.example.com"} | ({"port": port} if port else {})
    show = shown_by(ways.split("+"))
    assert show is not None
    shown = listed_identity(show({"port": "", **body, "type": "email-imap", "id": 1}))
    assert shown is not None
    return asked_identity("email-imap", body), shown


def is_cut_too_short(asked: Identity, shown: Identity, ways: str) -> bool:
    """True for the first of the limits."""
    if shown.name is None or "cut" not in ways or shown.name == asked.name:
        return False
    return len(html.unescape(shown.name)) < SHORTEST_CUT


def is_explained(asked: Identity, shown: Identity) -> None:
    """The difference is explained, found in a list, and learned from one fresh monitor."""
    found = alterations_between(asked, shown, EVERY)
    assert found is not None, (asked.name, shown.name)
    fresh = learn_profile(UNKNOWN, [Observation.of(asked, shown)], fresh=True)
    assert alterations_between(asked, shown, fresh.alterations) == found, (fresh, asked.name, shown.name)
    assert fresh.known
    assert [
        one.monitor_id for one in Candidates([("1", shown)], DisplayProfile(alterations=fresh.alterations)).of(asked)
    ] == ["1"]
    if Alteration.CASE not in found:
        assert [one.monitor_id for one in Candidates([("1", shown)], UNKNOWN).of(asked)] == ["1"]


@pytest.mark.parametrize("ways", SINGLE)
@given(name=NAMES, port=st.sampled_from((None, 143, 2993)))
@example(name="Mail  R&D", port=None)
@example(name="AT&amp;T  mail", port=None)
@example(name="two  blanks, then &lt", port=None)
@example(name="\ufffd 🟢", port=None)
@example(name="Kapı", port=None)
@example(name="mail & " * 20, port=None)
def test_each_way_is_explained_found_and_learned_whatever_the_name(ways: str, name: str, port: int | None) -> None:
    asked, shown = asked_and_shown(name, ways, port)
    assume(not is_cut_too_short(asked, shown, ways))
    is_explained(asked, shown)


@settings(max_examples=1_500)
@given(name=NAMES, ways=st.sampled_from(APART), port=st.sampled_from((None, 2993)))
@example(name="東京 🔴 a name of more than fifty characters, as it must be 🟢", ways="bmp-only+cut", port=None)
@example(name="東京 🔴 a name of more than fifty characters, as it must be 🟢", ways="cut+bmp-only", port=None)
@example(name="&" * 30, ways="escapes-twice+cut", port=None)
def test_pairs_of_ways_are_explained_found_and_learned(name: str, ways: str, port: int | None) -> None:
    asked, shown = asked_and_shown(name, ways, port)
    assume(not is_cut_too_short(asked, shown, ways))
    is_explained(asked, shown)


@pytest.mark.parametrize("ways", PAIRS)
@settings(max_examples=10)
@given(name=PLAIN)
def test_every_pair_of_ways_is_explained_for_names_in_ascii(ways: str, name: str) -> None:
    asked, shown = asked_and_shown(name, ways)
    assume(not is_cut_too_short(asked, shown, ways))
    is_explained(asked, shown)


# ── what is never explained ───────────────────────────────────────────────────────────────────────────────


@given(name=WORDS, place=st.integers(0, 40), other=st.sampled_from("xyz789"))
def test_another_letter_or_digit_is_another_name(name: str, place: int, other: str) -> None:
    """Put in, in another's place, or left out, also where names may be cut; at the end it may be what was cut off."""
    place %= len(name)
    assume(name[place] not in (" ", other))
    replaced = name[:place] + other + name[place + 1 :]
    put_in = name[:place] + other + name[place:]
    assert text_alterations(name, replaced, EVERY) is None
    assert text_alterations(name, put_in, EVERY) is None
    assert text_alterations(put_in, name, EVERY) is None
    assert text_alterations(name, f"{name}{other}", EVERY) is None
    assert text_alterations(f"{name}{other}", name, EVERY) == (None if len(name) < SHORTEST_CUT else {Alteration.CUT})


BEYOND = st.text(st.sampled_from("東京都大阪名古屋🟢🔴🟡"), min_size=2, max_size=30)


@given(start=WORDS, name=BEYOND, place=st.integers(0, 30), other=st.sampled_from("空港🚀"))
def test_another_sign_of_a_name_that_is_shown_beyond_ascii_is_another_name(
    start: str, name: str, place: int, other: str
) -> None:
    """CJK and emoji; also a shorter beginning of such a name, where names are not cut."""
    place %= len(name)
    replaced = name[:place] + other + name[place + 1 :]
    assert text_alterations(f"{start} {name}", f"{start} {replaced}", EVERY) is None
    kept = name[:place]
    assume(any(character > "\uffff" for character in kept) or (kept and not name[place:].isascii()))
    lost = text_alterations(f"{start} {name}", f"{start} {kept}", EVERY - {Alteration.CUT})
    without_emoji = "".join(character for character in name if character <= "\uffff")
    assert lost is None or kept.replace("?", "") == without_emoji


def ascii_letters(text: str) -> str:
    """What no way but a cut or a loss takes from a name."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(character for character in plain if character.isascii() and character.isalnum()).lower()


NO_ESCAPES = st.text(st.characters(codec="utf-8", exclude_characters="&"), max_size=30).map(str.strip)


@given(asked=NO_ESCAPES, shown=NO_ESCAPES)
def test_names_that_differ_in_letters_are_never_taken_for_each_other(asked: str, shown: str) -> None:
    """Two names that have nothing to do with each other; what is lost beyond ASCII is compared without it."""
    ways = text_alterations(asked, shown, EVERY - {Alteration.CUT})
    if ways is not None and not ways & {Alteration.NON_ASCII, Alteration.ASTRAL, Alteration.CASE}:
        assert ascii_letters(asked) == ascii_letters(shown)
    if ascii_letters(asked) and asked.isascii() and ascii_letters(asked) != ascii_letters(shown):
        assert ways is None


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("mail server in the north wing R&D2", "mail server in the north wing R&D1"),
        ("mail server in the north wing R&D", "mail server in the north wing R&E"),
        ("mail room 東京 A", "mail room 東 A"),
        ("mail room 東京 A", "mail room 東"),
        ("mail 🟢", "mail 🔴"),
        ("mail 🟢🟢", "mail 🟢"),
        ("Grüße 1", "Grüße 2"),
        ("mail 1", "mail 1?"),
        ("mail", "m?il"),
        ("a" * LONGEST_TEXT + "b", "a" * LONGEST_TEXT),
    ],
)
def test_names_that_only_look_alike_are_not_the_same(asked: str, shown: str) -> None:
    """Whatever an account may do, short of cutting names: that is another question, and of their length."""
    assert text_alterations(asked, shown, EVERY - {Alteration.CUT}) is None
    if not asked.startswith(shown):
        assert text_alterations(asked, shown, EVERY) is None


@pytest.mark.parametrize(
    "change", [{"type": "email-pop"}, {"servers": ("mx2.example.com",)}, {"port": 144}, {"servers": ("a", "b")}]
)
def test_another_type_host_or_port_is_never_a_way_of_showing(change: dict[str, object]) -> None:
    asked, shown = asked_and_shown("mail", "blanks", 993)
    assert alterations_between(asked, shown, EVERY) == frozenset()
    assert alterations_between(asked, shown._replace(**change), EVERY) is None  # type: ignore[arg-type]


# ── learning ──────────────────────────────────────────────────────────────────────────────────────────────

WAY_SETS = st.frozensets(st.sampled_from(Alteration))
LENGTHS: st.SearchStrategy[Lengths] = st.tuples(*[st.integers(0, 999)] * 3)


@given(
    alterations=WAY_SETS,
    exact=WAY_SETS,
    longest=LENGTHS,
    cut=st.one_of(st.none(), st.integers(1, 255)),
    known=st.booleans(),
)
def test_what_was_learned_is_the_same_as_its_json(
    alterations: frozenset[Alteration], exact: frozenset[Alteration], longest: Lengths, cut: int | None, known: bool
) -> None:
    profile = DisplayProfile(alterations=alterations, exact=exact, longest=longest, cut=cut, known=known)
    assert DisplayProfile.from_json(profile.to_json()) == profile
    later = json.loads(profile.to_json())
    later["ways"].append("of a later version")
    assert DisplayProfile.from_json(json.dumps(later)) == profile
    assert len(profile.sentences(profile)) == 0
    assert len(profile.sentences(UNKNOWN)) == len(alterations)


@pytest.mark.parametrize("nothing", [None, ""])
def test_of_an_account_that_was_never_seen_nothing_is_known(nothing: str | None) -> None:
    assert DisplayProfile.from_json(nothing) == UNKNOWN
    assert UNKNOWN.possible == EVERY - {Alteration.CASE}


def seen(name: str, shown: str, port: int | None = None) -> Observation:
    return Observation.of(
        Identity("email-imap", ("mx",), 143, name), Identity("email-imap", ("mx",), port or 143, shown)
    )


def test_what_a_hand_may_have_done_needs_two_monitors_or_a_fresh_one() -> None:
    """Letter case, a cut, a missing port: one old monitor may have been changed by somebody."""
    long = "a name of a monitor that goes on and on"
    for asked, shown, way in (("Mail", "MAIL", Alteration.CASE), (long, long[:20], Alteration.CUT)):
        one = seen(asked, shown)
        assert learn_profile(UNKNOWN, [one]).alterations == frozenset()
        assert learn_profile(UNKNOWN, [one], fresh=True).alterations == {way}
        assert learn_profile(UNKNOWN, [one, one]).alterations == {way}
    assert learn_profile(UNKNOWN, [seen("a  b", "a b")]).alterations == {Alteration.SPACES}


def test_a_name_that_comes_out_whole_takes_back_what_a_renamed_one_taught() -> None:
    """One monitor shows the difference, another that must show it does not: it is no way of the account."""
    mixed = [seen("a  b", "a b"), seen("c  d", "c  d")]
    found = learn_profile(UNKNOWN, mixed)
    assert Alteration.SPACES not in found.alterations
    assert Alteration.SPACES not in found.possible
    again = learn_profile(learn_profile(UNKNOWN, mixed[:1]), mixed[1:])
    assert Alteration.SPACES not in again.alterations


def test_a_longer_name_that_comes_out_whole_proves_that_names_are_not_cut() -> None:
    long = "a name of a monitor that goes on and on"
    cut = learn_profile(UNKNOWN, [seen(long, long[:20])] * 2)
    assert (cut.alterations, cut.cut) == (frozenset({Alteration.CUT}), 20)
    assert learn_profile(cut, [seen(long, long)]).alterations == frozenset()
    assert learn_profile(cut, [seen(long, long)]).cut is None
    assert Alteration.CUT in learn_profile(cut, [seen(long, long)]).possible, "a still longer one may be too long"


def test_a_monitor_that_was_renamed_teaches_nothing() -> None:
    assert learn_profile(UNKNOWN, [seen("mail 1", "post 1")]) == UNKNOWN


def test_fields_of_a_way_are_no_differences_and_others_stay() -> None:
    profile = DisplayProfile(alterations=frozenset({Alteration.SPACES, Alteration.NO_PORT, Alteration.NO_HOST}))
    body: dict[str, object] = {"name": "a  b", "hostname": "mx", "port": 993, "note": "x  y", "interval": 5}
    item: dict[str, object] = {"type": "email-imap", "name": "a b", "hostname": None, "note": "x y", "interval": 15}
    found = {field: (item.get(field), body[field]) for field in body}
    assert without_display_differences(found, body, item, profile) == {"interval": (15, 5)}
    assert without_display_differences(found, body, item, UNKNOWN) == found
    renamed = {"name": ("a c", "a  b")}
    assert without_display_differences(renamed, body, item | {"name": "a c"}, profile) == renamed
