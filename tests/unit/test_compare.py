"""Comparing two results: never more certain than the samples, never silent about the network."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import stats
from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.result import Failure, Metric, Result, StepSamples
from orchestrator.run.filing import to_json
from orchestrator.stored.comparison import compare, compare_groups
from orchestrator.stored.telling import metric_rows, sentences
from orchestrator.stored.differences import GROUPS, normal_script
from tests.fakes import plan
from tests.unit import stand_in


def result(seconds=(0.5, 0.5, 0.5, 0.5), samples=2, *, request=None, **changes):
    """Return a result of these step times, with a plan that fits its request."""
    asked = stand_in.request(**(request or {}))
    usual = {
        "benchdock": "0.1.0",
        "run": "r",
        "status": "ok",
        "request": asked,
        "plan": plan(
            model=asked.model,
            batch=asked.batch,
            dtype=asked.dtype,
            phase=asked.phase,
            steps=asked.steps,
            options=asked.options,
        ),
        "fingerprint": "feed",
        "metrics": {
            "throughput": Metric(
                value=samples * len(seconds) / math.fsum(seconds), unit="samples/s"
            )
        },
        "steps": (StepSamples(first=0, seconds=tuple(seconds), samples=samples),),
        "environment": {"hostname": "here", "cpu": {"model": "A"}},
    }
    return Result(**usual | changes)


def summary(a, b):
    return " | ".join(sentences(compare(a, b)))


def test_equal_runs_show_no_difference():
    found = compare(result(), result())
    assert found.changes == found.unrecorded == ()
    assert found.ratio.value == pytest.approx(1)
    assert "no difference can be seen" in summary(result(), result())
    assert "nothing that is recorded was changed" in summary(result(), result())


def test_one_variable_is_named_with_both_values():
    told = summary(result(), result([0.25] * 4, request={"batch": 4}, samples=4))
    assert "one variable was changed: batch, from 2 per device to 4 per device" in told
    assert "4 times as fast" in told


def test_what_follows_from_a_change_is_no_variable_of_its_own():
    other = plan(model="alexnet", batch=2, image="tiny:2", image_id="sha256:2")
    before = result(plan=plan(model="alexnet", batch=2, image="tiny:1", image_id="sha256:1"))
    found = compare(before, result(plan=other))
    assert [change.name for change in found.variables] == ["image"]
    assert {"image id"} == {change.name for change in found.changes if change.follows == "image"}


def test_changes_are_ranked_by_what_matters():
    changed = result(
        request={"dtype": "bfloat16", "seed": 3},
        fingerprint="beef",
        environment={"hostname": "there", "cpu": {"model": "B"}, "kernel": "6"},
    )
    names = [change.name for change in compare(result(), changed).changes]
    assert names == ["fingerprint", "dtype", "machine", "CPU", "seed"]
    assert compare(result(), changed).unrecorded == ("kernel",)
    assert "cannot be put down to one of them" in summary(result(), changed)


def test_other_networks_are_never_compared_silently():
    told = summary(result(), result(fingerprint="beef"))
    assert told.startswith("these are DIFFERENT NETWORKS")
    assert "it is not known" in summary(result(), result(fingerprint=None))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"status": "failed", "failure": Failure(kind="timeout", message="too slow")},
            "b failed (timeout): too slow",
        ),
        ({"metrics": {}}, "b has no throughput"),
        ({"metrics": {"throughput": Metric(value=math.inf, unit="samples/s")}}, "no plausible"),
        ({"metrics": {"throughput": Metric(value=1, unit="tokens/s")}}, "b counts tokens/s"),
    ],
)
def test_what_has_no_throughput_has_no_ratio(changes, told):
    found = compare(result(), result(**changes))
    assert found.ratio is None
    assert told in " ".join(sentences(found))


def test_a_result_without_samples_has_a_ratio_without_interval():
    assert "without raw step times" in summary(result(), result(steps=()))


def test_options_count_as_changed_only_where_somebody_asked():
    before = result(program={"options": {"layout": "contiguous"}})
    after = result(program={"options": {"layout": "channels_last"}}, request={"batch": 4})
    assert [change.name for change in compare(before, after).variables] == ["batch"]
    asked = result(
        program={"options": {"layout": "channels_last"}},
        request={"options": {"behaviour": "good", "layout": "channels_last"}},
    )
    (change,) = compare(before, asked).changes
    assert (change.name, change.before, change.after) == (
        "option layout",
        "contiguous",
        "channels_last",
    )


def test_a_script_differs_only_by_more_than_its_own_run():
    def script(run, words):
        return plan(
            argv=("bash", f"/home/{run}/launcher.sh"),
            script=f"#!/usr/bin/env bash\n# run {run}\ncd /home/{run}\n{words}\n",
        )

    assert normal_script(script("run-1", "x"), "run-1") == normal_script(
        script("run-2", "x"), "run-2"
    )
    one, other = script("run-1", "x"), script("run-2", "y")
    found = compare(result(run="run-1", plan=one), result(run="run-2", plan=other))
    assert [change.name for change in found.variables] == ["launcher script"]


def test_what_the_monitor_saw_is_a_state_and_no_variable():
    hot = {"gpu0.temperature.mean": Metric(value=90, unit="degC")}
    cool = {"gpu0.temperature.mean": Metric(value=50, unit="degC")}
    found = compare(result(monitor=cool), result(monitor=hot))
    assert [change.group for change in found.changes] == ["state"]
    assert found.variables == ()


def test_metrics_are_shown_with_units():
    extra = {"peak_memory": Metric(value=2**20, unit="bytes")}
    one = result(metrics={**result().metrics, **extra})
    assert metric_rows(one, one)[1] == ("peak_memory", "1.000 MiB", "1.000 MiB", "1.000")


def test_the_command_reads_folders_files_and_bundles(tmp_path, capsys):
    with stand_in.home(tmp_path):
        first, folder = stand_in.run()
        second, _ = stand_in.run(batch=4)
        bundle = tmp_path / "second.zip"
        assert main(["bundle", second.run, "-o", str(bundle)]) == ExitStatus.OK
        capsys.readouterr()
        assert main(["compare", str(folder.result), str(bundle), "--json"]) == ExitStatus.OK
        told = json.loads(capsys.readouterr().out)
        assert main(["compare", first.run, second.run]) == ExitStatus.OK
    assert told["ratio"]["value"] == 2.0
    assert told["ratio"]["visible"] is True
    assert told["same_network"] is True
    assert "batch" in told["variables"]
    assert told["a"]["metrics"]["throughput"]["unit"] == "samples/s"
    text = capsys.readouterr().out
    assert "one variable was changed: batch" in text
    assert "differs from one start of a program to the next" in text


def test_a_file_that_is_no_result_is_one_line(tmp_path, capsys):
    path = tmp_path / "x.json"
    for text in ("{", "[]", '{"schema": 9, "benchdock": "1", "status": "ok"}', "\x1b[31m"):
        path.write_text(text)
        assert main(["compare", str(path), str(path)]) == ExitStatus.BAD_REQUEST
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "\x1b" not in err
        assert ("schema: it should be 1: another version of benchdock wrote it" in err) == (
            '"schema": 9' in text
        )


NOISE = st.lists(st.floats(0.9, 1.1), min_size=20, max_size=60)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=30, deadline=None)
@given(before=NOISE, factor=st.floats(0.2, 5))
def test_the_interval_holds_the_ratio_and_turns_with_it(before, factor):
    after = [value * factor for value in before]
    low, high = stats.time_ratio_interval(before, after)
    ratio = sum(before) / sum(after)
    assert low <= ratio * 1.000001
    assert high >= ratio * 0.999999
    back = compare(result(after), result(before)).ratio
    there = compare(result(before), result(after)).ratio
    assert there.value * back.value == pytest.approx(1)
    assert (there.low <= 1 <= there.high) is not there.visible


@settings(max_examples=60, deadline=None)
@given(
    facts=st.dictionaries(
        st.sampled_from(["cpu", "gpu", "hostname", "kernel", "memory_total", "benchdock"]), ODD
    ),
    program=st.dictionaries(st.sampled_from(["options", "threads", "framework_version"]), ODD),
)
def test_whatever_a_file_holds_it_is_compared_with_itself_and_with_another(facts, program):
    odd = result(environment=facts, program=program)
    assert compare(odd, odd).changes == ()
    found = compare(result(), odd)
    assert all(change.group in GROUPS for change in found.changes)
    assert {c.name for c in compare(odd, result()).changes} == {c.name for c in found.changes}
    assert json.loads(to_json(odd))


def test_a_large_ratio_is_written_in_full():
    assert "b is 80,000 times as fast" in summary(result([8.0] * 4), result([0.0001] * 4))


def test_a_run_beside_itself_is_said_to_be_one():
    assert "a and b are the very same run" in compare(result(), result()).caveats
    other = compare(result(run="s"), result())
    assert not any("same run" in caveat for caveat in other.caveats)


def test_equal_figures_without_step_times_are_equally_fast():
    told = summary(result(steps=()), result(steps=()))
    assert "b is exactly as fast; without raw step times" in told
    assert "a has no raw step times" in compare(result(steps=()), result(steps=())).caveats
