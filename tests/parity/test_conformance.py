"""What every backend must do, for the backends of `tests.parity.table`.

``--backend=NAME`` chooses one of them; otherwise those whose framework is not here are skipped.
"""

from __future__ import annotations

import importlib
import warnings
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np
import pytest

from backends import zoo
from backends.harness import parity
from backends.harness.errors import Unsupported
from backends.harness.findings import deviation
from backends.harness.sgd import MOMENTUM
from backends.zoo import OPS, Graph, referee, weights
from tests.parity import table
from tests.parity.running import Backend
from tests.parity.table import ROWS

pytestmark = pytest.mark.parity


@pytest.fixture
def backend(request):
    row = ROWS[request.param]
    if find_spec(row.module) is None:
        pytest.skip(f"{row.module} is not installed in this environment")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old libraries, when they are imported
        return Backend(table.load(row.framework), **row.usual)


@pytest.fixture
def operators(backend, request):
    """The backend's module with its table of operators."""
    return importlib.import_module(ROWS[request.node.callspec.params["backend"]].operators)


def words(case):
    if isinstance(case, dict):
        return " ".join(f"{key}={value}" for key, value in case.items())
    return case if isinstance(case, str) else " ".join(map(words, case))


def over(cases):
    """Run a test with each of the cases that the function finds in each row."""
    found = [
        pytest.param(
            name, case, id=f"{name}-{words(case)}".rstrip("-"),
            marks=[pytest.mark.filterwarnings(warning) for warning in row.ignores],
        )
        for name, row in ROWS.items()
        for case in cases(row)
    ]  # fmt: skip
    return pytest.mark.parametrize(("backend", "case"), found, indirect=["backend"])


def training_jobs(row):
    """Options of its kinds of training jobs; freezing is for inference only."""
    return [pairs for pairs in row.jobs if row.trains and "freeze=off" not in pairs]


every = over(lambda row: [()])
every_job = over(lambda row: row.jobs)
every_training_job = over(training_jobs)


# -- against the referee -------------------------------------------------------------------


@over(lambda row: [model for model in zoo.names() if row.shapes and model not in row.gaps])
def test_every_node_has_the_shape_drawn(backend, case):
    backend.prove("P1", case)


@over(lambda row: row.logits)
def test_logits_are_the_referees(backend, case):
    backend.prove("P2", case)


@over(lambda row: row.options)
def test_options_do_not_change_the_computation(backend, case):
    backend.prove("P2", "resnet18", *case)


@over(lambda row: [(model, *pairs) for model in row.trains for pairs in training_jobs(row)])
def test_training_steps_are_the_referees(backend, case):
    backend.prove("P3", *case)


@over(lambda row: row.halves)
def test_half_precision_is_the_referees_but_for_its_rounding(backend, case):
    level, model, dtype, *pairs = case
    backend.prove(level, model, *pairs, dtype=dtype)


@every
def test_a_mistake_is_found_and_named(backend, case, operators, monkeypatch):
    graph = Graph("pooled", (3, 8, 8), 4)
    x = graph.max_pool(graph.relu(graph.conv(graph.input, 4, 3, pad=1)), 2, 2)
    graph.finish(graph.dense(graph.flatten(x), 4))
    backend.prove("P2", graph)
    monkeypatch.setitem(operators.OPERATORS, "max_pool", operators.OPERATORS["avg_pool"])
    verdict = backend.compare("P2", graph)
    assert not verdict.holds
    assert verdict.detail.startswith("max_pool1 (max_pool) is the first to differ")


# -- the table of operators ----------------------------------------------------------------


@every
def test_every_operator_of_the_zoo_is_in_the_table_or_a_gap(backend, case, operators):
    gaps = set(getattr(operators, "GAPS", ()))
    assert not gaps & set(operators.OPERATORS)
    assert set(operators.OPERATORS) | gaps | {"input"} == set(OPS)


@over(lambda row: row.gaps)
def test_a_gap_is_reported(backend, case):
    with pytest.raises(Unsupported, match=case):
        list(backend.step.shapes(zoo.draw(case)))


@over(lambda row: [] if row.gaps else [()])
def test_an_operator_that_is_missing_is_a_gap(backend, case, operators, monkeypatch):
    monkeypatch.delitem(operators.OPERATORS, "lrn")
    with pytest.raises(Unsupported, match="alexnet needs lrn, which this backend does not support"):
        list(backend.step.shapes(zoo.draw("alexnet")))


# -- training jobs -------------------------------------------------------------------------


def tiny():
    """A network with every kind of array that a step changes."""
    graph = Graph("tiny", (3, 8, 8), 4)
    x = graph.relu(graph.batch_norm(graph.conv(graph.input, 4, 3, bias=False), 1e-3))
    return graph.finish(graph.dense(graph.dropout(graph.flatten(x), 0.5), 4))


@contextmanager
def job_of(backend, graph, phase, pairs, seed=5, **changed):
    """A benchmark's job, and the values that it was given."""
    values = weights.for_graph(graph, seed)
    job = backend.step.prepare(backend.settings(graph, phase, *pairs, **changed), graph, values)
    try:
        yield job, values
    finally:
        job.close()


def stepped(job, count=1):
    """The state after some steps."""
    for _ in range(count):
        job.step()
        job.synchronize()
    return job.state()


@every_training_job
def test_a_job_starts_from_what_it_is_given(backend, case):
    with job_of(backend, tiny(), "training", case) as (job, values):
        state = job.state()
    for name, weight in state.weights.items():
        assert weight.dtype == np.float32
        assert np.array_equal(weight, values[name])
        assert not state.velocities[name].any()
        assert state.velocities[name].shape == weight.shape
    for name, statistic in state.statistics.items():
        assert np.allclose(statistic, values[name], rtol=1e-6)
    assert set(state.weights) | set(state.statistics) == set(values)


@every_training_job
def test_a_state_is_not_changed_by_the_next_step(backend, case):
    with job_of(backend, tiny(), "training", case) as (job, _):
        first = stepped(job)
        kept = [{name: array.copy() for name, array in part.items()} for part in first]
        second = stepped(job)
    for part, copy, after in zip(first, kept, second):  # noqa: B905 - Python 3.7 has no `strict`
        for name, array in part.items():
            assert np.array_equal(array, copy[name])
            assert not np.array_equal(array, after[name]), name


@every_training_job
def test_a_job_neither_keeps_nor_changes_the_values(backend, case):
    with job_of(backend, tiny(), "training", case) as (job, values):
        before = {name: array.copy() for name, array in values.items()}
        kept = stepped(job, 2)
        assert all(np.array_equal(values[name], before[name]) for name in before)
        for array in values.values():
            array[...] = 7
        after = job.state()
    for part, same in zip(kept, after):  # noqa: B905 - Python 3.7 has no `strict`
        assert all(np.array_equal(part[name], same[name]) for name in part)


@every_training_job
def test_velocities_are_in_units_of_the_gradient(backend, case):
    """Without inputs a layer's weights get no gradient: momentum is all that is left."""
    with job_of(backend, tiny(), "training", case) as (job, _):
        before = stepped(job).velocities["conv1.weight"]
        job.feed(np.zeros((2, 3, 8, 8), np.float32), np.zeros(2, np.int64))
        after = stepped(job).velocities["conv1.weight"]
    assert np.allclose(after, MOMENTUM * before, rtol=1e-5, atol=1e-9)
    assert np.abs(before).max() > 1e-3


@every_training_job
def test_training_lowers_the_loss(backend, case):
    losses = []
    with job_of(backend, zoo.draw("deep_mnist"), "training", case) as (job, _):
        for _ in range(30):
            job.step()
            job.synchronize()
            losses.append(job.loss())
    assert losses[-1] < losses[0]


# -- batches -------------------------------------------------------------------------------


def logits_of(job):
    """The logits of another step."""
    job.step()
    job.synchronize()
    return job.logits().copy()


@every_job
def test_a_batch_that_is_fed_reaches_the_next_step(backend, case):
    graph = zoo.draw("deep_mnist")
    inputs, labels = weights.inputs(graph, 2, 9), weights.labels(graph, 2, 9)
    tolerance = parity.TOLERANCES["float32"].logits
    with job_of(backend, graph, "inference", case) as (job, values):
        expected = referee.forward(graph, values, inputs)
        assert deviation(logits_of(job), expected) > 100 * tolerance
        for order in (1, -1):
            job.feed(np.ascontiguousarray(inputs[::order]), labels)
            assert deviation(logits_of(job), expected[::order]) <= tolerance


@every_job
def test_real_data_reaches_the_logits(backend, case, tmp_path):
    graph = zoo.draw("deep_mnist")
    x = np.random.RandomState(1).random_sample((4,) + graph.input_shape).astype("float32")  # noqa: RUF005
    np.savez(str(tmp_path / "some.npz"), x=x, y=np.zeros(4, "int64"))
    with job_of(backend, graph, "inference", case, data=str(tmp_path)) as (job, values):
        seen = [logits_of(job), logits_of(job)]
    expected = referee.forward(graph, values, x)
    # The first batch was read to prepare the job; the run starts with the second.
    found = np.concatenate([seen[1], seen[0]])
    assert deviation(found, expected) <= parity.TOLERANCES["float32"].logits


# -- programs ------------------------------------------------------------------------------


@over(lambda row: row.runs)
def test_benchmarks_run_to_their_end(backend, case):
    done, events = backend.run(threads=1, **case)
    assert done.returncode == 0, done.stderr
    begin, end = events[0], events[-1]
    assert [begin["event"], end["event"]] == ["begin", "end"]
    assert begin["threads"] == 1
    if "option" in case:
        key, value = case["option"].split("=")
        assert begin["options"][key] == value
    blocks = [event for event in events if event["event"] == "steps"]
    assert sum(len(block["seconds"]) for block in blocks) == 5
    assert all(second > 0 for block in blocks for second in block["seconds"])
    assert end["samples"] == 20
    assert end["seconds"] == pytest.approx(sum(block["block_seconds"] for block in blocks))
    assert (end["loss"] is None) == (begin["phase"] == "inference")


@over(lambda row: row.failures)
def test_failures_are_told_apart(backend, case):
    changed, kind, message = case
    backend.refuse(kind, message, **changed)
