"""At its end, a session says whether it reproduced the published numbers of its suite."""

import json
from dataclasses import replace

import pytest

from orchestrator.errors import MachineError
from orchestrator.paths import runs
from orchestrator.published import collection
from orchestrator.reproduction.setup import Setup, other_version
from orchestrator.suites import claims
from orchestrator.suites.cells import Cell, Origin
from orchestrator.suites.state import Ended
from orchestrator.suites.summary import SeriesSummary

ID = "nvidia-dle-pytorch-20.06-resnet50_v1.5-v100-16gb-float32-training-x1"
CLAIM = replace(collection.claim(ID), value=100.0, gpus=1)


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))


def series(*throughputs, failed=0):
    """Return a series of runs that are filed."""
    ends = [Ended(status="failed", kind="crashed", run="x")] * failed
    for number, value in enumerate(throughputs):
        folder = runs() / f"run{number}"
        folder.mkdir(parents=True)
        metrics = {"throughput": {"value": value, "unit": "samples/s"}} if value else {}
        document = {"benchdock": "0", "status": "ok", "run": folder.name, "metrics": metrics}
        (folder / "result.json").write_text(json.dumps(document))
        ends.append(Ended(status="ok", run=folder.name, throughput=value))
    cell = Cell({}, "digest", len(ends), Origin((), "a", 5), ID)
    return SeriesSummary(cell=cell, ends=tuple(ends), left=0)


def set_up(*unmet):
    return lambda _: (CLAIM, Setup(planned=None, why_not="", unmet=unmet))


@pytest.mark.parametrize(
    ("throughputs", "verdict"),
    [((98.0, 99.0, 100.0), "reproduced"), ((80.0, 81.0), "not reproduced")],
)
def test_a_claim_is_judged_by_its_good_runs(throughputs, verdict):
    found = claims.answer(series(*throughputs, failed=1), set_up())
    assert f"claim {ID}: {verdict}: " in str(found)
    assert "100.0 samples/s published" in str(found)
    told = found.as_json()
    assert (told["verdict"], told["published"]) == (verdict, 100.0)
    assert told["measured"]["runs"] == list(throughputs)


def test_conditions_that_are_not_met_are_named():
    other = other_version("framework version", "1.6", "2.9")
    told = str(claims.answer(series(99.0, 100.0), set_up(other)))
    assert told.endswith("; not met: framework version")


def test_without_enough_runs_there_is_no_verdict():
    told = str(claims.answer(series(99.0, failed=2), set_up()))
    assert told.endswith("no verdict: 1 good run, which is too few; use repeat: 3")


def test_what_prevents_a_verdict_is_said():
    def gone(_):
        raise MachineError("the driver is gone")

    assert "no verdict: the driver is gone" in str(claims.answer(series(99.0, 98.0), gone))


def test_results_that_somebody_removed_or_emptied_are_no_basis():
    found = series(99.0, None)
    told = str(claims.answer(found, set_up()))
    assert told.endswith("no verdict: the results have no throughput any more")
    (runs() / "run0/result.json").unlink()
    assert "no verdict: cannot read" in str(claims.answer(found, set_up()))
