"""Where PyTorch's batches lie, with a stand-in for its GPU that copies when it is synchronized."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from backends.harness import arguments


class Gpu:
    """Copies that were queued are made later, from what is in their source then."""

    def __init__(self):
        self.queued, self.waits, self.pinned = [], 0, 0

    def run(self):
        for target, source in self.queued:
            target.values = source.values.copy()
        self.queued.clear()


class Tensor:
    def __init__(self, gpu, values, *, pinned=False):
        self.gpu, self.values, self.pinned = gpu, values, pinned

    def pin_memory(self):
        self.gpu.pinned += 1
        return Tensor(self.gpu, self.values.copy(), pinned=True)

    def copy_(self, source, non_blocking=False):
        if non_blocking:
            assert source.pinned, "the device would wait"
            self.gpu.queued.append((self, source))
        else:
            self.values = source.values.copy()


class Event:
    def __init__(self, gpu):
        self.gpu, self.recorded = gpu, False

    def record(self):
        self.recorded = True

    def synchronize(self):
        self.gpu.waits += 1
        self.gpu.run()


@pytest.fixture
def gpu():
    return Gpu()


@pytest.fixture
def placing(monkeypatch, gpu):
    stand_in = ModuleType("torch")
    vars(stand_in).update(
        cuda=SimpleNamespace(Event=lambda: Event(gpu)),
        from_numpy=lambda array: Tensor(gpu, array),
        empty_like=lambda one, device: Tensor(gpu, np.zeros_like(one.values)),
    )
    monkeypatch.setitem(sys.modules, "torch", stand_in)
    monkeypatch.delitem(sys.modules, "backends.pytorch.placing", raising=False)
    yield importlib.import_module("backends.pytorch.placing")
    sys.modules.pop("backends.pytorch.placing", None)


def batch(number):
    return np.full(4, number, np.float32), np.full(2, number)


def test_real_batches_are_not_overwritten_before_they_were_copied(gpu, placing):
    pinned = placing.Pinned(held=False)
    targets = tuple(Tensor(gpu, part * 0) for part in batch(0))
    for number in (1, 2, 3):
        pinned.copy(batch(number), targets)
        before = targets[0].values.copy()
        assert (before == number - 1).all()  # queued, and what was queued before is done
    gpu.run()
    assert [set(one.values) for one in targets] == [{3}, {3}]
    assert gpu.pinned == 2


def test_a_held_batch_is_put_there_once(gpu, placing):
    pinned = placing.Pinned(held=True)
    targets = tuple(Tensor(gpu, part * 0) for part in batch(0))
    for _ in range(5):
        pinned.copy(batch(7), targets)
    assert gpu.waits == 1
    gpu.run()
    assert (targets[0].values == 7).all()
    assert gpu.pinned == 2


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "device"),
        ({"data": "/d"}, "pageable"),
        ({"data": "/d", "measure": "compute"}, "device"),
        ({"data": "/d", "measure": "copy"}, "pageable"),
        ({"options": {"data_place": "pinned"}}, "pinned"),
    ],
)
def test_the_place_that_is_used(placing, changed, expected):
    settings = arguments.one_step("resnet18", "training", 1, changed.pop("options", {}), **changed)
    assert placing.place_of(settings) == expected
