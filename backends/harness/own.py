"""Networks of the user's own, from a file: what stands in the place of a graph of the zoo."""

import hashlib
import os
from contextlib import contextmanager

from backends.harness.errors import DataProblem, Unsupported

PIECE = 1 << 20
# Characters of a framework's own words: where they begin, and the cause, at their end.
HEAD, TAIL = 120, 240


class OwnNetwork(object):
    """A file, and what must be known of the network in it to feed and to report it.

    `name` is how the user knows the file; `input_shape` is without batch. The framework that reads
    the file fills in what follows the fingerprint. `nodes`, `kind` and `classes` are what
    `backends.zoo.weights` asks for.
    """

    kind = "vector"
    classes = 2
    nodes = ()

    def __init__(self, path):
        """Read nothing but the file's digest. Raises `DataProblem`."""
        self.path = path
        self.name = os.path.basename(path)
        self.fingerprint = fingerprint(path)
        self.input_shape = ()
        self.published = None
        self.learnable = None

    def unsupported(self, what):
        """The error that says what of the file cannot be used."""
        return Unsupported("%s %s" % (self.name, what))

    def broken(self, what):
        """The error that says what is wrong with the file."""
        return DataProblem("%s %s" % (self.name, what))


def fingerprint(path):
    """What the host makes of the same bytes: whoever changes the file meanwhile is found out."""
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
    """The network in the file that the settings name, read by the backend.

    A backend that takes files has, beside what `backends.harness` asks for, `FILES` (the ends of
    their names), `read_file(path, settings)` -> `OwnNetwork`, and `prepare_file(settings,
    network)` -> job.
    """
    name = os.path.basename(settings.model_file)
    takes = getattr(backend, "FILES", ())
    if not takes:
        raise Unsupported("%s takes no file: it runs the zoo's networks" % backend.FRAMEWORK)
    if not name.lower().endswith(takes):
        known = " and ".join(takes)
        raise Unsupported("%s takes %s files, not %s" % (backend.FRAMEWORK, known, name))
    if settings.data is not None:
        raise Unsupported("%s is fed with synthetic data only: remove --data" % name)
    return backend.read_file(settings.model_file, settings)


@contextmanager
def refusals(network, title, classes, classify):
    """Turn errors of some classes into complaints about the file.

    `title` names the framework, `classify` is the backend's; what it does not know is taken for
    the file's fault.
    """
    try:
        yield
    except classes as error:
        kind = classify(error)
        if kind == "out_of_memory":
            raise
        words = shortened(" ".join(str(error).split()))
        if kind == "unsupported":
            text = "cannot be run by %s: %s; export it without what is lacking" % (title, words)
            raise network.unsupported(text) from error
        text = "cannot be run by %s: %s; export it again, for this batch" % (title, words)
        raise network.broken(text) from error


def shortened(words):
    """A long complaint without its middle."""
    if len(words) <= HEAD + TAIL:
        return words
    return "%s ... %s" % (words[:HEAD], words[-TAIL:])


def check_outputs(network, batch, shapes):
    """Refuse a network whose leading dimension is no batch: samples would be counted wrongly."""
    if any(len(shape) and shape[0] == batch for shape in shapes):
        return
    shown = " and ".join(str(tuple(shape)) for shape in shapes) or "no shape"
    raise network.unsupported(
        "gives outputs of %s for a batch of %d: its leading dimension is no batch, give it one"
        % (shown, batch)
    )
