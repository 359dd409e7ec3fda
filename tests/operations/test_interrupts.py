"""A signal ends the command, even where its exception is dropped or wrapped."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkload.errors import ExitCode, StoreError
from bulkload.files.atomic import atomic_write
from bulkload.operations.interrupts import Interrupts
from tests.support.command_line import ApiRequest, CommandLine, FakeResponse, fake_api, imap, list_response
from tests.support.waiting import TIMEOUT

SIGNALS = pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, ExitCode.INTERRUPTED),
        (signal.SIGTERM, ExitCode.TERMINATED),
        (signal.SIGHUP, ExitCode.TERMINATED),
    ],
)


@pytest.fixture(autouse=True)
def hangup() -> Iterator[None]:
    """SIGHUP has its default action, also if the tests run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@SIGNALS
def test_a_signal_whose_exception_is_dropped_in_a_destructor_is_sent_again(
    number: signal.Signals, code: ExitCode
) -> None:
    class SignalInDestructor:
        def __del__(self) -> None:
            signal.raise_signal(number)

    def destroy_and_wait() -> bool:
        SignalInDestructor()
        return threading.Event().wait(TIMEOUT)

    interrupts = Interrupts(last=False)
    with pytest.raises(KeyboardInterrupt), interrupts:
        destroy_and_wait()
    assert interrupts.code is code


@SIGNALS
def test_a_signal_whose_exception_is_wrapped_ends_the_block_as_a_signal(number: signal.Signals, code: ExitCode) -> None:
    class SignalInSetName:
        def __set_name__(self, owner: type, name: str) -> None:
            signal.raise_signal(number)

    interrupts = Interrupts(last=False)
    with pytest.raises(KeyboardInterrupt), interrupts:
        type("Owner", (), {"member": SignalInSetName()})
    assert interrupts.code is code


@SIGNALS
def test_an_error_of_the_clean_up_after_a_signal_does_not_hide_the_signal(
    number: signal.Signals, code: ExitCode, tmp_path: Path
) -> None:
    """As where a file is closed twice because the signal arrives just after it has been closed."""

    def write() -> None:
        with atomic_write(tmp_path / "results.csv") as draft:
            descriptor = os.open(draft, os.O_CREAT)
            try:
                os.close(descriptor)
                signal.raise_signal(number)
            finally:
                os.close(descriptor)

    interrupts = Interrupts(last=False)
    with pytest.raises(KeyboardInterrupt) as raised, interrupts:
        write()
    assert interrupts.code is code
    assert isinstance(raised.value.__cause__, StoreError)


def test_an_error_without_a_signal_stays_as_it_is() -> None:
    interrupts = Interrupts(last=False)
    with pytest.raises(StoreError, match="disk full"), interrupts:
        raise StoreError("disk full")
    assert interrupts.code is None


def test_the_former_handlers_are_restored() -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    before = handlers()
    with Interrupts(last=False):
        assert handlers() != before
    assert handlers() == before


def test_a_hangup_is_ignored_if_it_was_before_as_under_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interrupts(last=False) as interrupts:
        signal.raise_signal(signal.SIGHUP)
    assert interrupts.code is None


def test_a_terminal_that_is_closed_stops_the_run_and_the_results_are_written(cli: CommandLine) -> None:
    def hang_up_at_a_create(request: ApiRequest) -> FakeResponse:
        if request.method == "GET":
            return list_response()
        os.kill(os.getpid(), signal.SIGHUP)
        return FakeResponse(content={"id": "4711"})

    with fake_api(hang_up_at_a_create) as api:
        cli.use_account(api.base_url)
        rows = [imap(f"m{number}") for number in range(30)]
        result, results = cli.run(cli.write_csv("hosts.csv", rows), "--concurrency", "1", "--rate", "2/s")
    assert result.exit_code == ExitCode.TERMINATED
    assert len(results) == len(rows)
    assert [row["status"] for row in results[1:]].count("not_attempted") > 0
    assert "bulkload resume" in result.stderr
