"""Signals become one exception."""

import os
import signal

import pytest

from orchestrator.errors import ExitStatus, Interrupted
from orchestrator.signals import ENDING, held, interruptible, released


def hit(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", ENDING)
def test_the_first_signal_interrupts_and_later_ones_wait_for_the_clean_up(number):
    cleaned = []
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught, interruptible():
        try:
            hit(number)
        finally:
            hit(number)
            cleaned.append(True)
    assert caught.value.exit_status is ExitStatus(128 + number)
    assert cleaned == [True]
    assert signal.getsignal(number) is before


def test_under_nohup_a_terminal_that_goes_away_changes_nothing(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            hit(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_is_held_back_comes_at_the_end():
    done = []
    with pytest.raises(Interrupted), interruptible(), held():
        with held():
            hit()
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]


def test_what_is_held_back_comes_where_it_may():
    done = []
    with interruptible(), held():
        hit()
        with pytest.raises(Interrupted), released():
            done.append("never")
        done.append("filed")
    assert done == ["filed"]  # and it is told once


def test_released_lets_a_signal_in_and_holds_the_next_one_back():
    with interruptible(), held():
        with pytest.raises(Interrupted), released():
            hit()
        hit(signal.SIGINT)


def test_outside_of_a_command_nothing_is_held():
    with held(), released():
        pass
