"""Settings of all tests."""

import os
import signal

from hypothesis import settings

# A shell's background job ignores SIGINT and SIGQUIT, and so would each program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
# What `nohup` or a service starts ignores SIGHUP; benchdock leaves it ignored then.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A busy machine is no failure, and an example must not fail because it was the first to import.
# The same examples each time: whether the tests pass depends on the code, not on luck.
settings.register_profile("benchdock", deadline=None, derandomize=True)
# `make explore` tries new ones, and says how to try one that fails again.
settings.register_profile(
    "explore",
    deadline=None,
    derandomize=False,  # where CI is set, Hypothesis would not
    print_blob=True,
    max_examples=int(os.environ.get("EXAMPLES") or settings.default.max_examples),
)
settings.load_profile("benchdock")
