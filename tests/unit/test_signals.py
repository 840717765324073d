"""Signals become one exception."""

import os
import signal

import pytest

from orchestrator.errors import ExitStatus, Interrupted
from orchestrator.signals import interruptible


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, ExitStatus.INTERRUPTED), (signal.SIGTERM, ExitStatus.TERMINATED)],
)
def test_the_first_signal_interrupts_and_later_ones_wait_for_the_clean_up(number, status):
    cleaned = []
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught, interruptible():
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), number)
            cleaned.append(True)
    assert caught.value.exit_status is status
    assert cleaned == [True]
    assert signal.getsignal(number) is before
