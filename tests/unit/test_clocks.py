"""The three clocks of a run."""

import pytest

from orchestrator.plan import Timeouts
from orchestrator.run.clocks import expired

ALL = Timeouts(first_output=10, silence=5, total=100)


@pytest.mark.parametrize(
    ("now", "last_output", "kind"),
    [
        (9.9, None, None),
        (10, None, "no_output"),
        (14.9, 10, None),
        (15, 10, "timeout"),
        (100, 99, "timeout"),
        (100, None, "timeout"),
    ],
)
def test_the_clock_that_ran_out(now, last_output, kind):
    failure = expired(ALL, now=now, started=0, last_output=last_output)
    assert (failure and failure.kind) == kind


def test_the_message_says_which_option_helps():
    assert "--first-output" in expired(ALL, now=11, started=0, last_output=None).message
    assert "--silence" in expired(ALL, now=20, started=0, last_output=12).message
    assert "--timeout" in expired(ALL, now=101, started=0, last_output=100).message


def test_no_clock_never_expires():
    assert expired(Timeouts(), now=1e9, started=0, last_output=None) is None
