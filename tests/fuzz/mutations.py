"""Damages files: single bytes, blocks, lines, words, and tokens that readers of text stumble over.

In: the bytes of a file and a random generator. Out: other bytes.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from random import Random

MAX_BYTES = 400_000  # of a damaged file, so that a trial stays short
_WORD = re.compile(rb"[A-Za-z0-9_.-]+")
_NUMBER = re.compile(rb"\d+")
_ENCODINGS = ("utf-16", "utf-16-le", "utf-32", "utf-8-sig", "cp037", "shift_jis", "utf-7")

_TOKENS = (
    *(b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xae", b"\r", b"\n", b"\t", b'"', b"'", b"\\", b","),
    *(
        b"0",
        b"-1",
        b"1e999",
        b"NaN",
        b"Infinity",
        b"null",
        b"true",
        b"[]",
        b"{}",
        b"''",
        b"=1+1",
        b"\\ud800",
        b"\\u0000",
    ),
    *(b"1" * 400, b"9" * 5000, b"0x" + b"f" * 40, b"1" + b"0" * 30, b"-" * 300, b"1_0", "١٢".encode(), b"1.5e400"),
    *(b"n" * 300, b"n/" * 2000, b"../" * 40, b"/etc/passwd", b"**", b"*" * 50, b"**/" * 9, b"?" * 300, b"~", b"."),
    *(b"[" * 2000, b"{" * 2000, b"(" * 2000, b"<a>" * 500, b"- " * 500, b'{"a":' * 300, b"&a [*a]", b"<<: *a", b"? "),
    *(b"{{ x }}", b"${X}", b"$ARG1$", b"$" * 99, b"{$M}", b"{#M}", b"%{x}", b"<% x %>", b"!!python/object:os.system"),
    *(
        b'<?xml version="1.0" encoding="xyz"?>',
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
        b"&#0;",
        b"&b;",
        b"<![CDATA[",
        b"-->",
    ),
    *(b"(a+)+$", b"[[:alpha:]", b"\\", b"^(([a-z])+.)+[A-Z]", b"mx.example.com:99999", b"[::1]:25", b"imaps://u:p@x"),
    *(
        "é".encode() * 20,
        "\U0001f4e7".encode(),
        "\u2028".encode(),
        "ı".encode(),
        "ß.example".encode(),
        b"xn--" + b"a" * 70,
    ),
)


def damage(data: bytes, random: Random) -> bytes:
    """Return the content with one to four random changes. Most packages are damaged inside their parts."""
    if zipfile.is_zipfile(io.BytesIO(data)) and random.random() < 0.8:
        return _damage_parts(data, random)
    return _damage_bytes(data, random)


def _damage_bytes(data: bytes, random: Random) -> bytes:
    for _ in range(random.randint(1, 4)):
        data = random.choice(_CHANGES)(data, random)[:MAX_BYTES]
    return data


def _damage_parts(data: bytes, random: Random) -> bytes:
    """Change one part of a package and store it with a right checksum, so that readers accept the package itself."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        names = old.namelist()
        worksheets = [name for name in names if re.search(r"sheet\d*\.|content\.xml|sharedStrings|workbook\.", name)]
        damaged = random.choice(worksheets if worksheets and random.random() < 0.8 else names)
        for name in names:
            if name == damaged and random.random() < 0.05:
                continue  # a missing part
            content = old.read(name)
            new.writestr(name, _damage_bytes(content, random) if name == damaged else content)
    return packed.getvalue()


def _position(data: bytes, random: Random) -> int:
    return random.randint(0, len(data))


def _block(data: bytes, random: Random) -> tuple[int, int]:
    start = _position(data, random)
    return start, min(len(data), start + random.choice((1, 2, 8, 40, 200, 2000)))


def _flip(data: bytes, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 3, 20)) if data else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut_end(data: bytes, random: Random) -> bytes:
    return data[: _position(data, random)]


def _cut_block(data: bytes, random: Random) -> bytes:
    start, end = _block(data, random)
    return data[:start] + data[end:]


def _repeat_block(data: bytes, random: Random) -> bytes:
    start, end = _block(data, random)
    return data[:end] + data[start:end] * random.choice((1, 2, 50)) + data[end:]


def _swap_blocks(data: bytes, random: Random) -> bytes:
    (start, end), (other_start, other_end) = sorted((_block(data, random), _block(data, random)))
    if end > other_start:
        return data
    middle = data[end:other_start]
    return data[:start] + data[other_start:other_end] + middle + data[start:end] + data[other_end:]


def _insert_token(data: bytes, random: Random) -> bytes:
    position = _position(data, random)
    return data[:position] + random.choice(_TOKENS) + data[position:]


def _replace_match(pattern: re.Pattern[bytes]) -> Callable[[bytes, Random], bytes]:
    def replace(data: bytes, random: Random) -> bytes:
        matches = [*pattern.finditer(data)]
        if not matches:
            return data
        match = random.choice(matches)
        return data[: match.start()] + random.choice(_TOKENS) + data[match.end() :]

    return replace


def _change_number(data: bytes, random: Random) -> bytes:
    matches = [*_NUMBER.finditer(data)]
    if not matches:
        return data
    match = random.choice(matches)
    number = random.choice((0, 1, 2**31, 2**32 - 1, 2**63, 10**400, int(match[0][:9]) + 1, 65536, 1048577))
    return data[: match.start()] + str(number).encode() + data[match.end() :]


def _change_lines(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if len(lines) < 2:
        return data
    index, other = random.randrange(len(lines)), random.randrange(len(lines))
    change = random.randrange(4)
    if change == 0:
        del lines[index]
    elif change == 1:
        lines.insert(other, lines[index])
    elif change == 2:
        lines[index], lines[other] = lines[other], lines[index]
    else:
        lines[index] = lines[index].rstrip(b"\r\n") + lines[other]
    return b"".join(lines)


def _recode(data: bytes, random: Random) -> bytes:
    return data.decode("utf-8", errors="replace").encode(random.choice(_ENCODINGS), errors="ignore")


def _declare_encoding(data: bytes, random: Random) -> bytes:
    name = random.choice((b"xyz", b"utf-32", b"utf-7", b"idna", b"hex", b"", b"x" * 5000, b"\xe4"))
    return re.sub(rb'encoding="[^"]*"', lambda match: b'encoding="' + name + b'"', data, count=1)


_CHANGES = (
    *(_flip, _flip, _cut_end, _cut_block, _repeat_block, _swap_blocks, _insert_token, _insert_token),
    *(_replace_match(_WORD), _replace_match(_WORD), _replace_match(_NUMBER), _change_number, _change_lines),
    *(_change_lines, _recode, _declare_encoding),
)
