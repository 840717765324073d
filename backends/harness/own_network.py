"""The user's networks from files, which replace a graph of the zoo."""

import hashlib
import os
from contextlib import contextmanager

from backends.harness.errors import DataProblem, Unsupported

PIECE = 1 << 20
# Number of characters of a framework's message: its start, and its end with the cause.
HEAD, TAIL = 120, 240


class OwnNetwork(object):
    """A file, and what is needed to feed and report the network in it.

    `name` is the user's name for the file; `input_shape` is without batch. The framework that reads
    the file fills in what follows the fingerprint. `nodes`, `kind` and `classes` are what
    `backends.zoo.weights` needs.
    """

    kind = "vector"
    classes = 2
    nodes = ()

    def __init__(self, path):
        """Read only the file's digest. Raises `DataProblem`."""
        self.path = path
        self.name = os.path.basename(path)
        self.fingerprint = fingerprint(path)
        self.input_shape = ()
        self.published = None
        self.learnable = None

    def unsupported(self, what):
        """The error for something in the file that cannot be used."""
        return Unsupported("%s %s" % (self.name, what))

    def broken(self, what):
        """The error for something wrong with the file."""
        return DataProblem("%s %s" % (self.name, what))


def fingerprint(path):
    """The same digest as the host computes: it reveals changes to the file meanwhile."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for piece in iter(lambda: file.read(PIECE), b""):
                digest.update(piece)
    except (IOError, OSError) as error:
        raise DataProblem(
            "%s cannot be read: %s" % (os.path.basename(path), error.strerror)
        ) from error
    return "file:" + digest.hexdigest()[:16]


def opened(settings, backend):
    """The network in the settings' file, read by the backend.

    A backend that takes files has, besides what `backends.harness` requires, `FILES` (the endings
    of their names), `read_file(path, settings)` -> `OwnNetwork`, and `prepare_file(settings,
    network)` -> job.
    """
    name = os.path.basename(settings.model_file)
    takes = getattr(backend, "FILES", ())
    if not takes:
        raise Unsupported("%s takes no files: it runs the zoo's networks" % backend.FRAMEWORK)
    if not name.lower().endswith(takes):
        known = " and ".join(takes)
        raise Unsupported("%s takes %s files, not %s" % (backend.FRAMEWORK, known, name))
    if settings.data is not None:
        raise Unsupported("%s can only run on synthetic data: remove --data" % name)
    return backend.read_file(settings.model_file, settings)


@contextmanager
def refusals(network, title, classes, classify):
    """Turn errors of some classes into messages about the file.

    `title` names the framework, `classify` is the backend's; an unknown error is considered the
    file's fault.
    """
    try:
        yield
    except classes as error:
        kind = classify(error)
        if kind == "out_of_memory":
            raise
        words = shortened(" ".join(str(error).split()))
        if kind == "unsupported":
            text = "cannot be run by %s: %s; export it without what is missing" % (title, words)
            raise network.unsupported(text) from error
        text = "cannot be run by %s: %s; export it again, for this batch" % (title, words)
        raise network.broken(text) from error


def shortened(words):
    """A long message without its middle."""
    if len(words) <= HEAD + TAIL:
        return words
    return "%s ... %s" % (words[:HEAD], words[-TAIL:])


def check_outputs(network, batch, shapes):
    """Refuse a network whose leading dimension is not a batch: samples would be counted wrongly."""
    if any(len(shape) and shape[0] == batch for shape in shapes):
        return
    shown = " and ".join(str(tuple(shape)) for shape in shapes) or "no shape"
    raise network.unsupported(
        "gives outputs of %s for a batch of %d: its leading dimension is not a batch, so export "
        "it with one" % (shown, batch)
    )
