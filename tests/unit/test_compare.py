"""Comparing two results: never more certain than the samples, never silent about the network."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.result import Failure, Metric
from orchestrator.results.comparison import compare, compare_groups
from orchestrator.results.differences import GROUPS, normal_script
from orchestrator.results.ratio import ratio
from orchestrator.results.telling import metric_rows, sentences
from orchestrator.run.filing import to_json
from tests.fakes import plan
from tests.support import stand_in
from tests.support.results import result


def summary(a, b):
    return " | ".join(sentences(compare(a, b)))


def group(*throughputs, **changes):
    """Return runs with these throughputs, in samples/s."""
    return [
        result([2 / value] * 4, run=f"r{number}", **changes)
        for number, value in enumerate(throughputs)
    ]


def of_groups(a, b):
    return " | ".join(sentences(compare_groups(a, b)))


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.566, 1000.0])
def test_two_single_runs_tell_a_ratio_and_no_verdict(factor):
    one, other = result(), result([0.5 / factor] * 4, run="s")
    found, told = compare(one, other), summary(one, other)
    assert found.ratio.value == pytest.approx(factor)
    assert found.ratio.low is found.ratio.high is found.ratio.visible is None
    assert f"b / a is {factor:.3f}" in told
    assert "single runs cannot show" in told
    assert "`benchdock run ... --runs 5`" in told
    assert "`benchdock compare A... --against B...`" in told
    assert not {"faster", "slower", "fast", "slow", "visible difference"} & {*told.split()}
    assert "nothing recorded differs" in told


def test_groups_of_runs_tell_a_difference():
    told = of_groups(group(100, 101, 99, 100, 100), group(105, 106, 104, 105, 105))
    assert "b is 5.0 % faster: b / a is 1.050 (95 % interval 1.0" in told
    assert "over 5 and 5 whole runs" in told
    assert "no visible difference" in of_groups(group(100, 105, 95), group(103, 98, 109))


def test_few_runs_are_said_to_be_few():
    few = compare_groups(group(100, 101), group(150, 151)).caveats
    assert "few runs show only large differences: use --runs 5 or more on each side" in few
    many = group(100, 101, 99, 100, 100)
    assert not any("few runs" in text for text in compare_groups(many, many).caveats)


def test_a_side_of_one_run_cannot_tell():
    told = of_groups(group(100, 101, 99), group(150))
    assert "b / a is 1.500" in told
    assert "the single run of b cannot show" in told


def test_runs_of_different_benchmarks_are_not_a_group():
    mixed = [result(run="r"), result(run="s", request={"batch": 4})]
    found = compare_groups(mixed, group(1, 2))
    assert found.ratio is None
    assert found.why_no_ratio == (
        "a has runs of different benchmarks: batch is 2 per device in one and 4 per device in "
        "another"
    )


def test_what_differs_within_a_group_is_reported_and_is_not_a_variable():
    here, there = ({"hostname": name} for name in ("here", "there"))
    mixed = [result(run="r", environment=here), result(run="s", environment=there)]
    found = compare_groups(mixed, group(4, 4, environment=there))
    assert "the runs of a differ in machine" in found.caveats
    assert "machine" not in [change.name for change in found.variables]
    assert found.ratio is not None


def test_a_run_that_failed_is_named_in_its_group():
    failed = result(
        run="s", status="failed", failure=Failure(kind="timeout", message="too slow"), metrics={}
    )
    found = compare_groups(group(4, 4), [result(), failed])
    assert found.why_no_ratio == "b's run s failed (timeout): too slow"
    tokens = result(run="t", metrics={"throughput": Metric(value=1, unit="tokens/s")})
    found = compare_groups(group(4, 4), [result(), tokens])
    assert found.why_no_ratio == "a's run r0 counts samples/s and b's run t counts tokens/s"


def test_one_variable_is_named_with_both_values():
    told = summary(result(), result([0.25] * 4, request={"batch": 4}, samples=4))
    assert "one variable differs: batch, from 2 per device to 4 per device" in told
    assert "b / a is 4.000" in told


def test_what_follows_from_a_change_is_not_a_variable_of_its_own():
    other = plan(model="alexnet", batch=2, image="tiny:2", image_id="sha256:2")
    before = result(plan=plan(model="alexnet", batch=2, image="tiny:1", image_id="sha256:1"))
    found = compare(before, result(plan=other))
    assert [change.name for change in found.variables] == ["image"]
    assert {"image id"} == {change.name for change in found.changes if change.follows == "image"}


def test_two_names_of_one_image_are_not_a_change():
    old, new = (
        result(plan=plan(model="alexnet", batch=2, image=name, image_id="sha256:1"))
        for name in ("benchdock/x:1.0", "benchdock/x:1.0-0123456789ab")
    )
    assert compare(old, new).changes == ()
    rebuilt = plan(
        model="alexnet", batch=2, image="benchdock/x:1.0-ba9876543210", image_id="sha256:2"
    )
    assert [one.name for one in compare(new, result(plan=rebuilt)).variables] == ["image id"]
    newer = plan(
        model="alexnet", batch=2, image="benchdock/x:1.1-0123456789ab", image_id="sha256:2"
    )
    assert [one.name for one in compare(new, result(plan=newer)).variables] == ["image"]


def test_changes_are_ranked_by_what_matters():
    changed = result(
        request={"dtype": "bfloat16", "seed": 3},
        fingerprint="beef",
        environment={"hostname": "there", "cpu": {"model": "B"}, "kernel": "6"},
    )
    names = [change.name for change in compare(result(), changed).changes]
    assert names == ["fingerprint", "dtype", "machine", "CPU", "seed"]
    assert compare(result(), changed).unrecorded == ("kernel",)
    assert "cannot be attributed to one of them" in summary(result(), changed)


def test_other_networks_are_never_compared_silently():
    told = summary(result(), result(fingerprint="beef"))
    assert told.startswith("these are DIFFERENT NETWORKS")
    assert "it is unknown whether" in summary(result(), result(fingerprint=None))


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


def test_options_count_as_changed_only_if_somebody_asked():
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
    assert metric_rows([one], [one])[1] == ("peak_memory", "1.000 MiB", "1.000 MiB", "1.000")
    rows = metric_rows(group(1, 2, 6), group(4))
    assert rows == [("throughput", "2.000 samples/s", "4.000 samples/s", "2.000")]
    assert metric_rows([one, result()], [one]) == metric_rows([one], [one])[:1]


@pytest.mark.slow
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
    assert told["ratio"]["visible"] is None
    assert told["same_network"] is True
    assert "batch" in told["variables"]
    assert told["a"]["metrics"]["throughput"]["unit"] == "samples/s"
    text = capsys.readouterr().out
    assert "one variable differs: batch" in text
    assert "single runs cannot show" in text


@pytest.mark.slow
def test_the_command_compares_groups(tmp_path, capsys):
    with stand_in.home(tmp_path):
        a = [stand_in.run()[0].run for _ in range(2)]
        b = [stand_in.run(batch=4)[0].run for _ in range(2)]
        assert main(["compare", *a, "--against", *b, "--json"]) == ExitStatus.OK
        told = json.loads(capsys.readouterr().out)
        assert main(["compare", *a, "--against", b[0], "--against", b[1]]) == ExitStatus.OK
    assert [run["run"] for run in told["a"]["runs"]] == a
    assert [run["run"] for run in told["b"]["runs"]] == b
    assert told["ratio"] == pytest.approx({"value": 2, "low": 2, "high": 2, "visible": True})
    text = capsys.readouterr().out
    assert "b / a is 2.000 (95 % interval 2.000 to 2.000 over 2 and 2 whole runs)" in text
    assert "metric (median of the runs)" in text
    assert all(run in text for run in (*a, *b))


def test_what_is_not_two_sides_is_refused(tmp_path, capsys):
    with stand_in.home(tmp_path):
        a, b = (stand_in.run()[0].run for _ in range(2))
        for words, told in (
            ([a], "not 1 run; type `benchdock compare A... --against B...`"),
            ([a, b, a], "not 3 runs; type `benchdock compare A... --against B...`"),
            ([a, b, "--against", a], f"the run {a!r} is given twice; name each run only once"),
            ([a, a, "--against", b], f"the run {a!r} is given twice; name each run only once"),
            ([a, "--against"], "argument --against: expected at least one argument"),
        ):
            assert main(["compare", *words]) == ExitStatus.BAD_REQUEST
            err = capsys.readouterr().err
            assert told in err
            assert err.count("\n") == 1


def test_a_file_that_is_not_a_result_is_one_line(tmp_path, capsys):
    path = tmp_path / "x.json"
    for text in ("{", "[]", '{"schema": 9, "benchdock": "1", "status": "ok"}', "\x1b[31m"):
        path.write_text(text)
        assert main(["compare", str(path), str(path)]) == ExitStatus.BAD_REQUEST
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "\x1b" not in err
        assert (
            "schema: it should be 1; it was written by another version of benchdock" in err
        ) == ('"schema": 9' in text)


NOISE = st.lists(st.floats(0.9, 1.1), min_size=2, max_size=9)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@settings(max_examples=30, deadline=None)
@given(a=NOISE, b=NOISE, factor=st.floats(0.2, 5))
def test_the_interval_holds_the_ratio_and_turns_with_it(a, b, factor):
    b = [value * factor for value in b]
    there, back = ratio(a, b), ratio(b, a)
    assert there.low <= there.value <= there.high
    assert there.value * back.value == pytest.approx(1)
    assert there.low * back.high == pytest.approx(1)
    assert (there.low <= 1 <= there.high) is not there.visible


def test_an_interval_without_bounds_is_written_in_json():
    wide = ratio([1e-300, 1e300], [1.0, 2.0])
    assert 0 <= wide.low < wide.value < wide.high < math.inf


@pytest.mark.slow
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
    assert "b is 80,000 times as fast" in of_groups(group(1, 1), group(80_000, 80_000))


def test_a_run_beside_itself_is_said_to_be_one():
    assert "a and b are the same run" in compare(result(), result()).caveats
    other = compare(result(run="s"), result())
    assert not any("same run" in caveat for caveat in other.caveats)
