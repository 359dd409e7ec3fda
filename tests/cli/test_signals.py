"""A signal ends the command, even where its exception is dropped or wrapped."""

from __future__ import annotations

import signal
import threading

import pytest

from bulkload.cli.signals import Interrupts
from bulkload.errors import ExitCode
from tests.support.waiting import TIMEOUT

SIGNALS = pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED)]
)


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
def test_a_signal_whose_exception_is_wrapped_is_recorded(number: signal.Signals, code: ExitCode) -> None:
    class SignalInSetName:
        def __set_name__(self, owner: type, name: str) -> None:
            signal.raise_signal(number)

    interrupts = Interrupts(last=False)
    with pytest.raises((RuntimeError, KeyboardInterrupt)), interrupts:
        type("Owner", (), {"member": SignalInSetName()})
    assert interrupts.code is code


def test_the_former_handlers_are_restored() -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    before = handlers()
    with Interrupts(last=False):
        assert handlers() != before
    assert handlers() == before
