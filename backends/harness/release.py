"""Which release of a framework is installed, and whether a backend supports it."""

import re

from backends.harness.errors import Unsupported


def numbers(text):
    """(major, minor) of "1.0.1.post2", "2.13.0+cpu" or "1.15.0-rc1"."""
    found = re.match(r"(\d+)\.(\d+)", text)
    if found is None:
        raise Unsupported("%r is not a release that this backend can read" % text)
    return int(found.group(1)), int(found.group(2))


def check(title, text, least):
    """Raise `Unsupported` if release `text` of a framework is older than `least`."""
    if numbers(text) < least:
        raise Unsupported(
            "%s %s is too old: use %s %d.%d or newer" % ((title, text, title) + least)
        )
