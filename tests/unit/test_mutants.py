"""The lists of mutants fit the backends; whether parity finds each of them is `make mutants`."""

from __future__ import annotations

import pytest

from backends import zoo
from orchestrator.frameworks.catalogue import OURS
from orchestrator.paths import PROJECT
from tests.mutants import mutant

LEAST = {"onnxruntime": 6, "openvino": 6}


def test_every_framework_that_runs_on_a_cpu_has_mutants():
    assert {row.name for row in OURS if "cpu" in row.images} == set(mutant.IMAGES)


@pytest.mark.slow
@pytest.mark.parametrize("framework", mutant.IMAGES)
def test_each_changes_one_place_and_still_compiles(framework):
    listed = mutant.load(framework)
    assert len(listed) >= LEAST.get(framework, 12)
    assert len({one.name for one in listed}) == len(listed)
    for one in listed:
        text = (PROJECT / one.file).read_text(encoding="utf-8")
        assert text.count(one.old) == 1, one.name
        assert one.old != one.new
        compile(text.replace(one.old, one.new), one.file, "exec")
        assert one.level in ("P1", "P2", "P3")
        assert one.model in zoo.names()


HOLDS = '::benchdock {"event": "parity", "holds": true, "model": "m", "deviation": 1e-7}'
FAILS = HOLDS.replace("true", 'false, "level": "P3", "detail": "x"')
ERROR = '::benchdock {"event": "error", "kind": "internal", "message": "x"}'


@pytest.mark.parametrize(
    ("status", "stdout", "held"),
    [(0, HOLDS, True), (1, FAILS, False), (1, ERROR, False), (0, "", False), (139, HOLDS, False)],
)
def test_only_a_comparison_that_was_made_and_holds_holds(status, stdout, held):
    assert mutant.judged(status, stdout, "").held is held
