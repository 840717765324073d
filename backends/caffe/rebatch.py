"""Changes the batch in the user's prototxt, for the ``caffe`` binary; the rest stays unchanged."""

import re

from backends.harness.errors import Unsupported

# Strings and comments are skipped; between them are words and braces.
_TOKEN = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|#[^\n]*|[{}]|[^\s{}:"'#]+""")
# Messages with the shape of data; others have shapes too, such as Reshape's.
_SHAPES = (["input_param", "shape"], ["dummy_data_param", "shape"])


def with_batch(text, batch, layers=None):
    """The text with `batch` as the first dimension of inputs and as data layers' batch_size.

    `layers` is the batch of data layers if it is different. Raises `Unsupported` if the text gives
    no batch.
    """
    parts, end = [], 0
    for start, stop, number in _numbers(text, batch, layers or batch):
        parts += [text[end:start], str(number)]
        end = stop
    if not parts:
        raise Unsupported("the prototxt has no input and no batch_size that gives a batch")
    return "".join(parts) + text[end:]


def _numbers(text, batch, layers):
    """The positions of numbers that are a batch, and their new values."""
    stack, word, seen = [], "", {}
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token == "{":
            stack.append(word)
            seen[len(stack)] = 0
        elif token == "}":
            del stack[-1:]
        elif token[0] == "#":
            continue
        elif token.isdigit():
            if word == "batch_size":
                yield match.start(), match.end(), layers
            elif word in ("dim", "input_dim"):
                count = seen.get(len(stack), 0)
                seen[len(stack)] = count + 1
                if _leads(stack, word, count):
                    yield match.start(), match.end(), batch
        else:
            word = token


def _leads(stack, word, count):
    """Whether a dimension is the first of an input's."""
    if word == "input_dim":
        return not stack and count % 4 == 0
    return count == 0 and (stack == ["input_shape"] or stack[-2:] in _SHAPES)
