"""A signal that strikes where an exception cannot be raised, or is wrapped, ends the command all the same."""

from __future__ import annotations

import signal
import threading

import pytest

from bulkload.cli.signals import Interrupts
from bulkload.errors import ExitCode
from tests.support.waiting import PATIENCE

SIGNALS = pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)


@SIGNALS
def test_one_that_is_dropped_by_a_destructor_is_sent_again(number: signal.Signals, code: ExitCode) -> None:
    class Falling:
        def __del__(self) -> None:
            signal.raise_signal(number)

    def fall_and_wait() -> bool:
        Falling()
        return threading.Event().wait(PATIENCE)

    interrupts = Interrupts(last=False)
    with pytest.raises(KeyboardInterrupt), interrupts:
        fall_and_wait()
    assert interrupts.code is code


@SIGNALS
def test_one_that_is_wrapped_is_remembered(number: signal.Signals, code: ExitCode) -> None:
    class Named:
        def __set_name__(self, owner: type, name: str) -> None:
            signal.raise_signal(number)

    interrupts = Interrupts(last=False)
    with pytest.raises((RuntimeError, KeyboardInterrupt)), interrupts:
        type("Owner", (), {"member": Named()})
    assert interrupts.code is code


def test_afterwards_signals_do_what_they_did_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interrupts(last=False):
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] != before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
