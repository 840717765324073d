"""GPUs that a run does not use: how many of them are busy."""

import pytest

from orchestrator.machine.facts import DriverFacts, GpuFacts, MachineFacts
from orchestrator.machine.gpu_facts import GpuGoneError, GpuSample
from orchestrator.machine.neighbours import Neighbours
from orchestrator.machine.window import Window
from orchestrator.run.benchmark import _neighbours


def source(**busy):
    """Return what samples GPUs with a utilisation each; None is one that fell off the bus."""

    def sample(uuid):
        if busy[uuid] is None:
            raise GpuGoneError("it fell off the bus")
        return GpuSample(utilisation=busy[uuid])

    return sample


def values(neighbours, window=None):
    return {name: metric.value for name, metric in neighbours.metrics(window)}


def test_busy_ones_are_counted_within_the_window():
    neighbours = Neighbours(("a", "b"))
    for now, (a, b) in enumerate([(1.0, 1.0), (0.5, 0.0), (0.5, 0.11), (0.1, 0.0), (1.0, 1.0)]):
        neighbours.look(source(a=a, b=b), float(now))
    assert values(neighbours, Window(1.0, 3.0)) == {"neighbours.count": 2, "neighbours.busy": 1.0}
    assert values(neighbours)["neighbours.busy"] == pytest.approx(7 / 5)


def test_one_that_does_not_answer_is_no_longer_counted():
    neighbours = Neighbours(("a", "b"))
    neighbours.look(source(a=1.0, b=None), 0.0)
    neighbours.look(source(a=1.0), 1.0)
    assert values(neighbours) == {"neighbours.count": 1, "neighbours.busy": 1.0}


def test_without_any_nothing_is_said():
    neighbours = Neighbours(())
    neighbours.look(source(), 0.0)
    assert values(neighbours) == {}
    gone = Neighbours(("a",))
    gone.look(source(a=None), 0.0)
    assert values(gone) == {}


def test_neighbours_are_the_gpus_that_are_not_used():
    gpus = tuple(GpuFacts.made_of({"uuid": uuid}) for uuid in ("a", "b", "c"))
    machine = MachineFacts.made_of({"gpu": DriverFacts.made_of({"gpus": gpus})})
    assert _neighbours(machine, ("b",)) == ("a", "c")
    assert _neighbours(machine, ("MIG-b",)) == ()
