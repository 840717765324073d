"""Settings of all tests."""

from hypothesis import settings

# A busy machine is no failure, and an example must not fail because it was the first to import.
settings.register_profile("benchdock", deadline=None)
settings.load_profile("benchdock")
