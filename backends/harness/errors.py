"""What can go wrong in an image, in the kinds that the host knows."""

import sys
import traceback

KINDS = ("out_of_memory", "unsupported", "data", "internal")

# What messages say, in lower case: frameworks, CUDA's libraries and C++ (std::bad_alloc) if memory
# runs out; CUDA if the framework was built for other GPUs or for a newer driver.
MEMORY_WORDS = (
    "out of memory",
    "bad_alloc",
    "alloc_failed",
    "failed to allocate",
    "memory allocation failed",
)
GPU_WORDS = ("no kernel image is available", "driver version is")


class BenchmarkError(Exception):
    """A failure the user can act on; `kind` is one of `KINDS`."""

    kind = "internal"


class OutOfMemory(BenchmarkError):  # noqa: N818 - the kind is the name
    """The device or the host does not have enough memory for this batch."""

    kind = "out_of_memory"


class Unsupported(BenchmarkError):  # noqa: N818 - the kind is the name
    """This backend does not support the request, on this device or at all."""

    kind = "unsupported"


class DataProblem(BenchmarkError):  # noqa: N818 - the kind is the name
    """The data folder is missing, empty or does not fit the model."""

    kind = "data"


def kind_by_words(error, memory=(), unsupported=()):
    """What an exception's message says: "out_of_memory", "unsupported" or None.

    `memory` and `unsupported` are words of one framework, in lower case; `MEMORY_WORDS` count
    always.
    """
    text = str(error).lower()
    if any(words in text for words in MEMORY_WORDS + tuple(memory)):
        return "out_of_memory"
    if any(words in text for words in unsupported):
        return "unsupported"
    return None


def describe(error, classify=None):
    """Kind and one-line message of any exception; a bug also leaves its traceback on stderr."""
    message = " ".join(str(error).split())
    if isinstance(error, BenchmarkError):
        return error.kind, message
    kind = classify(error) if classify else None
    if kind is None and isinstance(error, MemoryError):
        kind = "out_of_memory"
    if kind is None:
        traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
        kind = "internal"
    return kind, "%s: %s" % (type(error).__name__, message or "no message")
