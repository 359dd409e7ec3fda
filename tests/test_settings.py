"""Secrets are read from safe places, and a password file that others can read is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkload.errors import UsageError
from bulkload.settings import load, password_file_warning


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings from outside of the test."""
    monkeypatch.chdir(tmp_path)
    for name in ("USERNAME", "PASSWORD", "PASSWORD_FILE", "TOKEN", "BASE_URL"):
        monkeypatch.delenv(f"ALERTSITE_{name}", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def secret(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def is_open_to_all(folder: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in (folder, *folder.parents))


def test_a_password_file_contains_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTSITE_PASSWORD_FILE", str(secret(tmp_path / "secret", "s3cret \n")))
    account, _ = load({})
    assert account.password.get_secret_value() == "s3cret "
    assert "s3cret" not in repr(account)


def test_a_byte_order_mark_is_not_part_of_a_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERTSITE_PASSWORD_FILE", str(secret(tmp_path / "secret", "\ufeffs3cret\n")))
    assert load({})[0].password.get_secret_value() == "s3cret"


@pytest.mark.parametrize("text", ["", "\n", "one\ntwo\n", "x" * 5000])
def test_an_invalid_password_file_is_refused_and_its_content_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("ALERTSITE_PASSWORD_FILE", str(secret(tmp_path / "secret", text)))
    with pytest.raises(UsageError, match="must contain one line, the password") as caught:
        load({})
    assert "two" not in str(caught.value)


def test_credentials_of_systemd_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "run"))
    secret(tmp_path / "run" / "alertsite-password", "handed\n", 0o400)
    account, _ = load({})
    assert (account.password.get_secret_value(), account.token.get_secret_value()) == ("handed", "")
    secret(tmp_path / "run" / "alertsite-token", "tok\n", 0o400)
    assert load({})[0].token.get_secret_value() == "tok"


@pytest.mark.parametrize("variable", ["ALERTSITE_PASSWORD", "ALERTSITE_PASSWORD_FILE"])
def test_a_variable_overrides_the_credentials_of_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "run"))
    secret(tmp_path / "run" / "alertsite-password", "handed")
    monkeypatch.setenv(variable, "mine" if variable == "ALERTSITE_PASSWORD" else str(secret(tmp_path / "own", "mine")))
    assert load({})[0].password.get_secret_value() == "mine"


def test_other_credentials_of_systemd_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert load({})[0].password.get_secret_value() == ""


@pytest.mark.parametrize(("mode", "is_reported"), [(0o600, False), (0o640, False), (0o644, True), (0o604, True)])
def test_a_password_file_that_every_user_can_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, is_reported: bool
) -> None:
    folder = Path("/tmp") / f"{tmp_path.name}-open"  # other users cannot enter pytest's own folders
    path = secret(folder / "secret", "s3cret", mode)
    try:
        folder.chmod(0o755)
        monkeypatch.setenv("ALERTSITE_PASSWORD_FILE", str(path))
        account, _ = load({})
        assert is_open_to_all(folder)
        assert (password_file_warning(account) is not None) == is_reported
        folder.chmod(0o700)
        assert password_file_warning(account) is None  # other users cannot enter the folder
    finally:
        path.unlink()
        folder.rmdir()


def test_a_link_to_a_password_file_that_every_user_can_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kubernetes mounts secrets as symbolic links."""
    folder = Path("/tmp") / f"{tmp_path.name}-open"
    path = secret(folder / "secret", "s3cret", 0o644)
    try:
        folder.chmod(0o755)
        (tmp_path / "link").symlink_to(path)
        monkeypatch.setenv("ALERTSITE_PASSWORD_FILE", str(tmp_path / "link"))
        assert "chmod 600" in str(password_file_warning(load({})[0]))
    finally:
        path.unlink()
        folder.rmdir()


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("keep", "soon", "a number of days or forever"),
        ("keep", "-1", "a number of days or forever"),
        ("retry_for", "1 week", "a number of days or forever"),
        ("prune_limit", "ten", r"a number \(20\) or a percentage"),
        ("watch", "perhaps", "true or false"),
    ],
)
def test_an_invalid_option_of_the_inbox_says_what_is_allowed(option: str, value: str, allowed: str) -> None:
    with pytest.raises(UsageError, match=allowed):
        load({option: value})


def test_options_of_the_inbox_can_be_set_in_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "bulkload.toml").write_text(
        'keep = "forever"\nretry_for = 1.5\nprune = true\nprune_limit = "5%"\nping = "https://hc.example/x"\n', "utf-8"
    )
    _, options = load({})
    assert (options.keep, options.retry_for, options.prune, options.prune_limit) == (float("inf"), 1.5, True, "5%")
    assert options.ping is not None
    assert "hc.example" not in repr(options)
