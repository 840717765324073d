"""Tests of P4: ranks that do not share what they compute must not pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backends.harness import arguments, parity
from backends.harness.errors import Unsupported
from backends.zoo import Graph, backward
from tests.unit.test_harness_trajectory import Backend, Training, small


def plain():
    """Nothing is normalised."""
    g = Graph("plain", (2, 8, 8), 10)
    x = g.max_pool(g.relu(g.conv(g.input, 6, 3, pad=1)), 2, 2)
    return g.finish(g.dense(g.dropout(g.flatten(x), 0.4), 10))


class Several(Training):
    """All ranks of a job."""

    mistake = ""

    def computed(self):
        count = self.settings.devices
        parts = zip(*(np.split(part, count) for part in self.batch), strict=True)
        rules = backward.Rules(biased=self.biased)
        found = [backward.step(self.graph, self.values, x, y, rules) for x, y in parts]
        used = found[:1] if self.mistake == "no exchange" else found
        divisor = 1 if self.mistake == "sum" else len(used)
        gradients = {
            name: sum(one.gradients[name] for one in used) / divisor for name in found[0].gradients
        }
        loss = found[0].loss if self.mistake == "loss" else np.mean([o.loss for o in found])
        return found[0]._replace(gradients=gradients, loss=loss)

    def share(self, numbers):
        if self.mistake == "apart":
            return [list(numbers), [1.001 * number for number in numbers]]
        return super().share(numbers)


class Ranks(Backend):
    """Jobs of all ranks in one process, made of the referee; `mistake` is one that ranks can make.

    The running statistics are those of the first rank.
    """

    def __init__(self, mistake="", **mistakes):
        super().__init__(**mistakes)
        self.several: Any = type("Several", (Several, self.kind), {"mistake": mistake})

    def prepare(self, settings, graph, values):
        kind = self.several if settings.devices > 1 else self.kind
        return kind(settings, graph, values)


def check(backend, graph, ranks=2):
    asked = arguments.ParitySettings((), (), "float32", "cpu", {}, ranks)
    return parity.check("P4", backend, graph, asked)


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("graph", [plain(), small()], ids=["plain", "normalised"])
def test_ranks_that_average_hold(graph, ranks):
    verdict = check(Ranks(), graph, ranks)
    assert verdict.holds, verdict.detail


@pytest.mark.parametrize("graph", [plain(), small()], ids=["plain", "normalised"])
@pytest.mark.parametrize(
    ("mistake", "culprit"),
    [("no exchange", "velocity"), ("sum", "movement"), ("loss", "loss"), ("apart", "ranks")],
)
def test_a_mistake_of_ranks_does_not_hold(graph, mistake, culprit):
    verdict = check(Ranks(mistake), graph)
    assert not verdict.holds
    assert culprit in verdict.detail
    assert verdict.deviation > 10 * verdict.tolerance


def test_the_factor_of_an_unbiased_variance_is_expected():
    verdict = check(Ranks(biased=True), small())
    assert not verdict.holds
    assert verdict.detail.startswith("statistics")
    assert check(Ranks(biased=True, biased_variance=True), small()).holds


def test_one_rank_has_nothing_to_compare_with():
    with pytest.raises(Unsupported, match="use --devices 2"):
        check(Ranks(), plain(), 1)


def test_a_rank_that_does_not_report_has_no_verdict():
    backend = Ranks()
    backend.several.leader = False
    assert check(backend, plain()) is None
