"""Protocol buffers' text format: a message is a list of (key, value) pairs."""

import tempfile
from contextlib import contextmanager

from backends.caffe.dialects import Word


def render(fields):
    """The text of a message's fields, in their order; a repeated field is repeated."""
    return "".join(_lines(fields, ""))


def _lines(fields, margin):
    for key, value in fields:
        if isinstance(value, list):
            yield "%s%s {\n" % (margin, key)
            for line in _lines(value, margin + "  "):
                yield line
            yield "%s}\n" % margin
        else:
            yield "%s%s: %s\n" % (margin, key, _scalar(value))


def _scalar(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, str):
        return '"%s"' % "".join(_escaped(c) for c in value)
    return repr(value)


def _escaped(character):
    if character in '"\\':
        return "\\" + character
    if " " <= character <= "~":
        return character
    return "".join("\\%03o" % byte for byte in character.encode("utf-8"))


@contextmanager
def as_file(text):
    """Write text to a file, because Caffe reads prototxt only from files."""
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(text)
        file.flush()
        yield file.name
