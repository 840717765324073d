"""The contract of a backend, for readers and mypy: nothing imports this file when it runs.

A framework provides one object or module, `backends/<framework>/step.py`, and passes it to
`program.main` in its `__main__.py`: there mypy compares it with `Backend`. It returns jobs: see
`backends.harness.job`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np

from backends.harness.arguments import Settings as Settings
from backends.harness.images import Reading as Reading
from backends.harness.job import Job as Job
from backends.harness.own_network import OwnNetwork as OwnNetwork
from backends.options import Option
from backends.zoo.graph import Graph as Graph
from backends.zoo.node import Node as Node

Array = np.ndarray[Any, Any]
# By the zoo's names of parameters, running statistics, or nodes.
Arrays = Mapping[str, Array]
Shapes = Iterator[tuple[str, tuple[int, ...]]]
Values = Iterator[tuple[str, Array]]
Kind = Literal["out_of_memory", "unsupported"] | None

class Source(Protocol):
    """Where batches come from: see `backends.harness.data`."""

    fixed: bool
    @property
    def facts(self) -> Mapping[str, Any] | None: ...
    def next(self) -> tuple[Array, Array]: ...
    def close(self) -> None: ...

class Batches(Protocol):
    """What a reader opened: see `backends.harness.images`."""

    @property
    def filter(self) -> str: ...
    @property
    def workers(self) -> int: ...
    @property
    def prefetch(self) -> int: ...
    def next(self) -> tuple[Array, Array]: ...
    def close(self) -> None: ...

class Reader(Protocol):
    """A backend's module `reader`: see `backends.harness.images`."""

    FORMATS: tuple[str, ...]
    ERRORS: tuple[type[Exception], ...]
    def opened(self, reading: Reading) -> Batches: ...

# Inputs and labels of a batch go where the steps read them.
Feed = Callable[[Array, Array], None]
Feeds = Sequence[tuple[Source, Feed]]

class Backend(Protocol):
    """What every backend has.

    Parity reads one more name, if the framework differs from the zoo's definitions:
    `REPLACES_STATISTICS`, True if the first step's statistics replace the running ones. P3 then
    expects that. Jobs have more: see `backends.harness.job`.

    `READER` is the module that reads images, if the framework has one: a `Reader`.
    """

    FRAMEWORK: str
    """The framework's id, as a user types it."""

    OPTIONS: tuple[Option, ...]
    """The options that ``--option key=value`` may set; unset ones reach `prepare` as "auto"."""

    def version(self) -> str:
        """Return the framework's version: called first, and may import the framework."""

    def classify(self, error: Exception) -> Kind:
        """Tell the framework's errors apart; None for one that is not known."""

    def prepare(self, settings: Settings, graph: Graph, values: Arrays) -> Job:
        """Return a job that is ready to step: values and synthetic data are where they are used.

        `values` are all parameters and running statistics, float32. Raises `errors.Unsupported`
        for what cannot run.
        """

    def shapes(self, graph: Graph) -> Shapes:
        """Yield name and shape, without batch, of the built network's nodes in drawing order."""

    def activations(
        self, settings: Settings, graph: Graph, values: Arrays, inputs: Array
    ) -> Values:
        """Yield name and float32 value of nodes in drawing order, nothing fused or overwritten.

        A node that the framework computes only as part of another may be left out. Called if the
        job's logits differ, to name the first node that does.
        """

    def self_check(self) -> str:
        """Return a line on what was checked; raises if something is wrong. Takes seconds."""

class FileBackend(Backend, Protocol):
    """A backend that also runs the user's files; see `backends.harness.own_network`."""

    @property
    def FILES(self) -> tuple[str, ...]:  # noqa: N802 - a tuple of a known length fits, too
        """The endings of their names."""

    def read_file(self, path: str, settings: Settings) -> OwnNetwork:
        """Read the network in a file. Raises `DataProblem` or `Unsupported`."""

    def prepare_file(self, settings: Settings, network: Any) -> Job:
        """Return a job of what `read_file` gave, which has run once."""
