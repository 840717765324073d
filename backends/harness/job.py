"""The interface of a prepared benchmark for the loop."""

import resource
import statistics
import time
from collections import OrderedDict, namedtuple

TYPE_CHECKING = False  # mypy takes it for true; typing has it since Python 3.5.2 only
if TYPE_CHECKING:
    from typing import Any, List, Mapping, Optional, Sequence

    from backends.harness.contract import Array, Feeds, Node  # noqa: F401 - in a type comment

State = namedtuple("State", "weights velocities statistics")
State.__doc__ = """What training keeps from one step to the next, by the zoo's canonical names.

Float32 arrays, copied, so the next step does not change them. `weights` are those that the update
is added to (not a half-precision copy), `velocities` the sums of gradients that momentum keeps, in
units of the gradient: velocity = momentum * velocity + gradient, weight -= rate * velocity. A
framework that keeps rate * velocity divides by the rate that it was given. `statistics` are the
running means and variances.
"""


class Job(object):
    """A prepared benchmark; a framework fills in what it does differently.

    The defaults suit one synchronous device timed by the host's clock. A framework that
    only queues work on a device must override `synchronize`, `mark` and `intervals`.
    """

    leader = True  # the one process that reports
    rank, processes = 0, 1  # this process among all that share the benchmark
    threads = 1
    samples = 0  # of one step, over all devices
    timing = "host clock around each step; the step ends when its result is there"
    waited = 0.0  # seconds that all steps so far waited for data
    only_reads = False  # a step reads a batch and does nothing with it
    biased_variance = False  # running variances are fed the biased variance of the batch
    every_largest = False  # max pooling sends its whole gradient to all that equal the largest
    least_probability = 0.0  # the loss takes a smaller probability of the right class for this one

    def __init__(self):
        """Set the attributes after this."""
        self.device_names = []  # type: List[str]
        self.options = OrderedDict()  # type: OrderedDict  # each as it was really used
        self.doubts = []  # type: List[str]  # sentences for the warnings of the result
        self._marks = []  # type: List[float]

    def step(self) -> None:
        """Do or queue one step: forward to logits, or forward, loss, backward and update."""
        raise NotImplementedError

    def synchronize(self) -> None:
        """Return when all devices of all processes have done what was queued."""

    def mark(self, index: int) -> None:
        """Note the moment after everything queued so far, as number `index` of this block."""
        del self._marks[index:]
        self._marks.append(time.perf_counter())

    def intervals(self, count: int) -> "List[float]":
        """Seconds between neighbours of marks 0 to `count`; called after `synchronize`."""
        return [self._marks[i + 1] - self._marks[i] for i in range(count)]

    def agree(self, number: float) -> float:
        """The leader's number, in every process: they must make the same decision."""
        return number

    def share(self, numbers: "Sequence[float]") -> "List[List[float]]":
        """Every process's numbers, by rank; each gives as many. Call it where no clock runs."""
        return [list(numbers)]

    def own(self, count: int) -> float:
        """Median seconds of the last `count` steps until this process waits for the others.

        If processes exchange something in each step, a slow one makes the steps of all longer.
        Called after `intervals`.
        """
        return statistics.median(self.intervals(count))

    def owns(self) -> "List[float]":
        """The same of each device of this process; [] if it has only one, or it is unknown."""
        return []

    def peak_memory(self) -> "Optional[int]":
        """Most bytes of device memory in use at a time, of the fullest device; None if unknown.

        On a CPU the device's memory is the process's.
        """
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def loss(self) -> "Optional[float]":
        """Loss of the last training step, None in inference."""

    # -- for parity, from the same object that is timed ----------------------------------------

    def feed(self, inputs: "Array", labels: "Array") -> None:
        """Replace the synthetic batch, for the next steps.

        `inputs` is float32 (batch,) + input shape, `labels` int64, both in the host's memory.
        """
        raise NotImplementedError

    def logits(self) -> "Array":
        """What the last inference step computed, float32, batch first."""
        raise NotImplementedError

    def state(self) -> State:
        """The `State` after the last training step, or before the first."""
        raise NotImplementedError

    def held(self, node: "Node") -> "Optional[Array]":
        """A node's value after the last training step, None if it is unknown.

        It settles which of two values was the larger one for max pooling if they are equal but for
        rounding.
        """

    def reads(self) -> "Optional[Mapping[str, Any]]":
        """How real images are read, and what the first of them were; None for other data."""

    def close(self) -> None:
        """Stop threads and leave process groups."""


class Fed(Job):
    """A job whose steps take their batches from sources of `backends.harness.data`.

    A framework fills in `work`, and sets `feeds`: pairs of a source and the function that copies
    its inputs and labels to where the steps read them. Write it before a class of the framework's
    own devices, if both are bases.
    """

    feeds = ()  # type: Feeds

    def step(self) -> None:
        """One step; real data is fetched and copied within it."""
        for source, feed in self.feeds:
            if not source.fixed:
                started = time.perf_counter()
                batch = source.next()
                self.waited += time.perf_counter() - started
                if not self.only_reads:
                    feed(*batch)
        if not self.only_reads:
            self.work()

    def work(self) -> None:
        """Do or queue a step on the batch that is there."""
        raise NotImplementedError

    def reads(self) -> "Optional[Mapping[str, Any]]":
        """What the first source says."""
        return next((source.facts for source, _ in self.feeds), None)

    def close(self) -> None:
        """Stop reading data."""
        for source, _ in self.feeds:
            source.close()
        super(Fed, self).close()
