"""Settings of all tests."""

import os
import signal

from hypothesis import settings

# A shell's background job ignores SIGINT, and so would every program that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# What `nohup` or a service starts ignores SIGHUP; benchdock leaves it ignored then.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# A busy machine is no failure, and an example must not fail because it was the first to import.
# Continuous integration tries the same examples each time; elsewhere each run tries new ones.
settings.register_profile("benchdock", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("benchdock")
