"""Tagged lines: everything that the host reads from a container."""

import json
import math
import os
import sys
import zlib
from collections import OrderedDict

TAG = "::benchdock "


def line(event, fields):
    """One event as its line. JSON has no nan and no infinity: they become strings.

    The last key is a checksum of the text before it: it reveals text that a library writes into the
    middle of a line, even if the line is still JSON.
    """
    document = OrderedDict([("event", event)])
    for key in sorted(fields):
        document[key] = _strict(fields[key])
    text = json.dumps(document, allow_nan=False)[: -len("}")]
    crc = zlib.crc32(text.encode("ascii")) & 0xFFFFFFFF
    return '%s%s, "crc": "%08x"}\n' % (TAG, text, crc)


def _strict(value):
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return OrderedDict((key, _strict(value[key])) for key in sorted(value))
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    return value


class Emitter(object):
    """Writes events to a file descriptor, each line in one write."""

    def __init__(self, descriptor=1):
        """Descriptor 1 is what the launcher script sends to the log."""
        self._descriptor = descriptor

    def __call__(self, event, **fields):
        """Write one event.

        What Python still buffers goes first, so the log keeps its order. The log is
        opened for appending, where one write is never interleaved with another's.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        rest = line(event, fields).encode("ascii")
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


def mute(event, **fields):
    """Replaces an `Emitter` if another rank reports."""
