"""Results of older versions are read, written again and verified.

`tests/bundles/stand-in` is a bundle that commit cee1ba8 made of a run of the stand-in program, with
made-up names of its machine.
"""

import json
import shutil
from pathlib import Path

import pytest

from orchestrator.errors import RequestError
from orchestrator.result import Result
from orchestrator.results.comparison import compare
from orchestrator.results.verification import verify
from orchestrator.run.filing import to_json
from tests.support.bundles import resealed

OLD = Path(__file__).parents[1] / "bundles" / "stand-in"
DOCUMENT = json.loads((OLD / "result.json").read_text())


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    name = tmp_path_factory.mktemp("old") / "old"
    return Path(shutil.make_archive(str(name), "zip", OLD))


def with_metrics(path, to, change):
    """Copy a bundle with other metrics in its result."""
    document = json.loads((OLD / "result.json").read_text())
    change(document["metrics"])
    return resealed(path, to, **{"result.json": json.dumps(document).encode()})


def test_an_old_result_is_written_with_the_same_keys_and_values():
    written = json.loads(to_json(Result.model_validate(DOCUMENT)))
    assert written["request"].pop("devices") is None  # a request could not have it yet
    assert written["request"].pop("python") is None
    assert written["request"].pop("measure") is None
    assert written["request"].pop("ranks") is None
    assert written["plan"].pop("interpreter") is None
    assert written["plan"].pop("data") is None
    assert written["plan"].pop("lacks") == []
    assert written["plan"].pop("near_cpus") == []
    assert written == DOCUMENT


def test_facts_of_another_version_are_kept_and_a_value_of_another_type_is_unknown():
    document = json.loads(json.dumps(DOCUMENT))
    document["environment"] |= {"rack": 7, "load": "high", "cpu": {"model": 3, "usable": 2}}
    document["program"] |= {"batch": "two", "colour": "red"}
    found = Result.model_validate(document)
    assert (found.environment.load, found.program.batch) == (None, None)
    assert found.environment.cpu is not None
    assert (found.environment.cpu.model, found.environment.cpu.usable) == (None, 2)
    written = json.loads(to_json(found))
    assert (written["environment"]["rack"], written["program"]["colour"]) == (7, "red")
    assert "kernel" in written["environment"]
    assert compare(found, found).changes == ()


def test_a_fact_that_was_not_recorded_is_not_written_as_unknown():
    document = json.loads(json.dumps(DOCUMENT))
    del document["environment"]["kernel"]
    assert "kernel" not in json.loads(to_json(Result.model_validate(document)))["environment"]


def test_an_old_bundle_is_verified(bundled):
    result, checks = verify(bundled)
    assert result.metrics["throughput"].value == 4.0
    assert checks[-1].detail == "parsing it again gives 4.000 samples/s"


def test_a_metric_that_a_parser_has_learnt_since_is_named(bundled, tmp_path):
    older = with_metrics(bundled, tmp_path / "x.zip", lambda metrics: metrics.pop("step_time_p90"))
    _, checks = verify(older)
    assert checks[-1].detail == (
        "parsing it again gives 4.000 samples/s; compared 8 metrics, and the log also gives "
        "step_time_p90, which this older result does not have"
    )


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("step_time_p90", 0.4, "step_time_p90 (log 500.0 ms, result 400.0 ms)"),
        ("step_time_p95", 0.4, "step_time_p95 (log nothing, result 400.0 ms)"),
    ],
)
def test_a_metric_that_the_log_does_not_give_is_a_contradiction(
    bundled, tmp_path, name, value, told
):
    def change(metrics):
        metrics[name] = {"value": value, "unit": "s"}

    with pytest.raises(RequestError) as refused:
        verify(with_metrics(bundled, tmp_path / "x.zip", change))
    assert f"the log and the result disagree on {told}" in str(refused.value)
