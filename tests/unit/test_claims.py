"""Claims of others: every part of a bundle is compared with the others, and none is trusted."""

import functools
import json
import re
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.cli import main
from orchestrator.errors import ExitStatus, RequestError
from orchestrator.frameworks import catalogue
from orchestrator.images import image_table
from orchestrator.machine import inventory
from orchestrator.paths import PROJECT, RunFolder
from orchestrator.plan import Plan
from orchestrator.request import Request
from orchestrator.result import Environment, Result
from orchestrator.results import agreement, bundle, scripts
from orchestrator.results.verification import verify
from orchestrator.run import planner, variants
from orchestrator.run.devices import Target
from orchestrator.run.place import Place
from orchestrator.run.planner import OwnFiles
from orchestrator.version import VERSION
from tests.support import stand_in
from tests.support.bundles import resealed, rewritten

RUN = "20260101T000000-x-y-abc123"
THIS = {"benchdock": VERSION, "commit": inventory.commit(PROJECT), "dirty": False}
OTHER = {**THIS, "commit": "0" * 40}


def planned(request, device="cpu", environment=THIS, runtime="docker"):
    """Return the result that a run of a request would have on a machine with two GPUs."""
    gpus = ("GPU-a", "GPU-b")[: len(request.gpus)] if isinstance(request.gpus, tuple) else ()
    framework = variants.settle(catalogue.framework(request.framework), request, device)
    image = request.image
    if image is None and runtime == "docker":
        image = image_table.load().image(framework.images[device]).tag
    place = Place(
        runtime=runtime, reason="test", python="python3" if runtime == "docker" else "/a/python",
        image=image if runtime == "docker" else None, mount_code=True,
    )  # fmt: skip
    own = request.model_file
    found = OwnFiles(fingerprint="file:0123" if own else None, model_files=(own,) if own else ())
    target = Target(device=device, gpus=gpus)
    folder = RunFolder(Path("/home/x/runs") / RUN)
    plan = planner.plan_of(request, framework, target, place, folder, found=found)
    return Result(
        benchdock=VERSION, run=RUN, status="ok", request=request, plan=plan,
        environment=environment, warnings=plan.warnings,
    )  # fmt: skip


def disagreements(result, **changes):
    """Return what is found in a result whose plan or request has these changes."""
    plan = result.plan.model_copy(update=changes.pop("plan", {}))
    request = result.request.model_copy(update=changes.pop("request", {}))
    return [str(one) for one in agreement.of_plan(result, request, plan)]


def requests(row):
    """Yield a request of every device, phase and variant of a row, as plain as can be."""
    small = "alexnet" if "deep_mnist" in row.gaps else "deep_mnist"
    for name, variant in row.variants.items() or [("", row)]:
        for (device, phase), dtypes in variant.dtypes.items():
            yield (
                device,
                Request(
                    model=next(iter(row.networks or ())) if row.networks else small,
                    framework=row.name,
                    phase=phase,
                    dtype=dtypes[0],
                    options={row.variant_option: name} if name else {},
                    gpus=(0,) if device == "gpu" else "none",
                    image=None if device in variant.images else "me/mine:1",
                    source=Path("/programs/x") if row.vendor and row.vendor.source_help else None,
                    command="bench --batch={batch} {model}" if row.any_network else None,
                ),
            )


@pytest.mark.slow
@pytest.mark.parametrize("name", catalogue.FRAMEWORKS)
def test_what_benchdock_plans_agrees_with_what_was_asked(name):
    for device, request in requests(catalogue.FRAMEWORKS[name]):
        result = planned(request, device)
        assert disagreements(result) == []
        assert disagreements(result.model_copy(update={"environment": Environment(**OTHER)})) == []


ASKED = {
    "plain": Request(model="deep_mnist", framework="pytorch", gpus="none", batch=2, steps=4),
    "chosen": Request(model="deep_mnist", framework="pytorch"),
    "all": Request(
        model="deep_mnist", framework="pytorch", phase="inference", dtype="bfloat16", batch=16,
        gpus=(0, 1), steps=40, warmup=7, data=Path("/data/x"), image="me/mine:1",
        runtime="docker", timeout=60, first_output_timeout=5, silence_timeout=6, memory=10**9,
        pids=100, shm_size=10**8, threads=3, seed=7, options={"layout": "channels_last"},
    ),
    "custom": Request(
        model="mine", framework="custom", image="me/mine:1", gpus="none", unit="images/s",
        command="bench '{model} of' --batch={batch} {data} {source}", pattern="fps=(.+)",
        estimator="last", data=Path("data/x"), source=Path("/programs/x"),
    ),
    "file": Request(
        model="mine", framework="onnxruntime", phase="inference", gpus="none",
        model_file=Path("/nets/mine.onnx"), batch=4,
    ),
    "vendor": Request(
        model="resnet50", framework="tf_cnn_benchmarks", gpus=(0,), source=Path("/programs/x"),
        options={"xla": "on", "flag.sync_on_finish": "true"}, steps=30, warmup=10,
    ),
    "host": Request(
        model="deep_mnist", framework="pytorch", gpus="none", runtime="host", batch=2, steps=4
    ),
}  # fmt: skip


@functools.cache
def sample(name):
    request = ASKED[name]
    device = "gpu" if isinstance(request.gpus, tuple) else "cpu"
    return planned(request, device, runtime="host" if name == "host" else "docker")


def test_a_relative_folder_of_a_host_run_is_not_a_contradiction_elsewhere(tmp_path, monkeypatch):
    request = Request(
        model="mine", framework="custom", gpus="none", command="bench {data}", data=Path("x"),
        pattern="fps=(.+)",
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    result = planned(request, runtime="host")
    assert f"exec bench {tmp_path}/x" in result.plan.script
    monkeypatch.chdir("/")
    assert disagreements(result) == []
    absolute = request.model_copy(update={"data": Path("/other")})
    assert "the command is" in str(next(agreement.of_plan(result, absolute, result.plan)))


# Other values of every field of a request.
OTHERWISE: dict[str, list] = {
    "model": ["lenet", "vgg16"],
    "framework": ["tensorflow", "custom", "pytorch", "timm", "no such"],
    "phase": ["training", "inference"],
    "dtype": ["float32", "tf32", "float16", "bfloat16", "int8"],
    "batch": [1, 256, None],
    "gpus": ["none", "all", (0,), (0, 1), (0, 1, 2, 3), None],
    "steps": [5, 1000, None],
    "warmup": [1, 2, None],
    "data": [None, Path("/etc"), Path("x"), Path("data/y")],
    "measure": ["input", "compute"],
    "image": [None, "me/other:1", "nvcr.io/nvidia/pytorch:24.06-py3"],
    "runtime": ["docker", "host"],
    "timeout": [None, 1.0],
    "first_output_timeout": [None, 1.0],
    "silence_timeout": [None, 1.0],
    "memory": [None, 1],
    "pids": [None, 1],
    "shm_size": [1, 2],
    "threads": [4094, 4095],
    "seed": [1, 2**40],
    "options": [{}, {"layout": "nchw"}, {"xla": "on"}, {"flag.evil": "1"}],
    "source": [None, Path("/root"), Path("/programs/y")],
    "command": [None, "bench", "bench '{model} of' --batch={batch} {data} {source} more", "'"],
    "pattern": [None, "x=(.+)"],
    "unit": [None, "samples/s"],
    "estimator": [None, "mean"],
    "model_file": [None, Path("/nets/other.onnx")],
    "as_root": [True],
    "env": [{"A": "b"}],
    "devices": [3],
    "ranks": [2, 3],
    "prefix": ["nice -n 5"],
    "network": ["bridge"],
    "python": [Path("/opt/theirs"), Path("/opt/theirs/bin/python3")],
}
# What another value says no less of the very same run.
SAME = [
    ("chosen", "gpus", "none"),
    ("plain", "gpus", None),
    ("custom", "gpus", None),
    ("file", "gpus", None),
    ("host", "gpus", None),
    ("vendor", "gpus", None),
    ("vendor", "gpus", "all"),
    ("all", "gpus", "all"),
    ("custom", "seed", 1),
    ("custom", "seed", 2**40),
    ("file", "batch", None),  # a file may be made for one
    *(("host", "data", Path(path)) for path in ("x", "data/y")),  # only the log says it
    *((name, "runtime", "docker") for name in ASKED),
    *((name, "data", Path("x")) for name in ("custom", "all")),
]


def test_every_field_of_a_request_has_another_value_to_try():
    assert {*Request.model_fields} == {*OTHERWISE, "schema_version"}


@pytest.mark.slow
@pytest.mark.parametrize("field", OTHERWISE)
@pytest.mark.parametrize("name", ASKED)
def test_a_request_with_another_value_is_noticed(name, field):
    result = sample(name)
    assert disagreements(result) == []
    for value in OTHERWISE[field]:
        other = result.request.model_copy(update={field: value})
        if other == result.request or (name, field, value) in SAME:
            continue
        found = [str(one) for one in agreement.of_plan(result, other, result.plan)]
        assert found, value
        assert all(one.isprintable() for one in found)


def changed(value):
    """Return other values like one."""
    likes: dict[type, Callable[[Any], list]] = {
        str: lambda text: [text + "x", ""],
        int: lambda number: [number + 1],
        tuple: lambda listed: [(*listed, "x"), listed[:-1]],
        dict: lambda named: [{**named, "x": "y"}],
        type(None): lambda _: ["x"],
    }
    found = [like(value) for kind, like in likes.items() if isinstance(value, kind)]
    return found[0] if found else []


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whatever_is_forged_is_reported_in_a_line(data):
    result = sample(data.draw(st.sampled_from([*ASKED])))
    fields = data.draw(st.sets(st.sampled_from([*OTHERWISE]), max_size=6))
    request = {name: data.draw(st.sampled_from(OTHERWISE[name])) for name in sorted(fields)}
    words = {"framework", "image", "script", "model"}
    forged = data.draw(st.sets(st.sampled_from(sorted(words)), max_size=2))
    plan = {name: data.draw(st.text(max_size=9)) for name in sorted(forged)}
    environment = data.draw(st.sampled_from([THIS, OTHER]))
    result = result.model_copy(update={"environment": Environment(**environment)})
    for told in disagreements(result, request=request, plan=plan):
        assert told.isprintable()


# The only values that can be read there.
WORDS = {
    "device": ["cpu", "gpu"],
    "runtime": ["docker", "host"],
    "phase": OTHERWISE["phase"],
    "dtype": OTHERWISE["dtype"],
    "lacks": [("network",), ("memory", "pids")],
    "near_cpus": [("0-1", "2-3"), ("0-3", "0-3")],
}


@pytest.mark.slow
@pytest.mark.parametrize("field", sorted({*Plan.model_fields} - scripts.UNSTATED))
@pytest.mark.parametrize("name", ASKED)
def test_a_plan_with_another_value_is_noticed(name, field):
    result = sample(name)
    value = getattr(result.plan, field)
    for other in WORDS.get(field) or changed(value):
        # Only the log has that of a file.
        if other != value and (name, field) != ("file", "fingerprint"):
            assert disagreements(result, plan={field: other}), other


def test_other_limits_mounts_and_gpus_in_a_plan_are_noticed():
    result = sample("all")
    plan = result.plan
    for name, value in plan.limits:
        if name not in ("shm_size", "ulimits"):
            limits = plan.limits.model_copy(update={name: (value or 0) + 1})
            assert disagreements(result, plan={"limits": limits})
    for name, value in plan.timeouts:
        timeouts = plan.timeouts.model_copy(update={name: value + 1})
        assert disagreements(result, plan={"timeouts": timeouts})
    for index, mount in enumerate(plan.mounts):
        ours = mount.target == "/opt/benchdock/backends"  # which lies where it lay there
        others = [] if ours else [mount.model_copy(update={"source": Path("/etc")})]
        others += [mount.model_copy(update={"target": "/elsewhere"})]
        for other in others:
            mounts = (*plan.mounts[:index], other, *plan.mounts[index + 1 :])
            assert disagreements(result, plan={"mounts": mounts}), other
    elsewhere = [
        one.model_copy(update={"source": Path("/theirs", *one.source.parts[-2:])})
        for one in plan.mounts
    ]
    moved = (*elsewhere[:3], *plan.mounts[3:-1], elsewhere[-1])
    assert moved[2].target == "/benchdock/run/out"
    assert moved[-1].target == "/opt/benchdock/backends"
    assert disagreements(result, plan={"mounts": moved}) == []
    more = plan.mounts[0].model_copy(update={"source": Path("/etc"), "target": "/x"})
    assert disagreements(result, plan={"mounts": (*plan.mounts, more)})
    assert disagreements(result, plan={"gpus": ("GPU-a",)})
    assert disagreements(result, plan={"gpus": (), "device_count": 1})


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_other_script_is_noticed(data):
    """In a container every byte of the script is known, but for the number of threads."""
    result = sample(data.draw(st.sampled_from([name for name in ASKED if name != "host"])))
    script = result.plan.script
    start = data.draw(st.integers(0, len(script) - 1))
    end = start + data.draw(st.integers(0, 3))
    put = data.draw(st.text(st.characters(codec="utf-8"), max_size=3))
    forged = script[:start] + put + script[end:]
    if forged != script:
        assert disagreements(result, plan={"script": forged})


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    """A run's bundle, as a clone without changes would have written it."""
    with stand_in.home(tmp_path_factory.mktemp("home")) as home:
        result, folder = stand_in.run()
        bundle.write(folder, result, home / "run.zip")
        rewritten(home / "run.zip", home / "sound.zip", environment=THIS)
        yield home / "sound.zip"


def refusal(path):
    with pytest.raises(RequestError) as refused:
        verify(path)
    told = str(refused.value)
    assert told.isprintable()
    assert "contradicts itself" in told
    return told.partition("contradicts itself: ")[2]


def test_a_sound_bundle_holds_and_says_what_was_compared(bundled, tmp_path):
    _, checks = verify(bundled)
    details = {check.name: check.detail for check in checks}
    assert details["plan"] == "request.json, plan.json and launcher.sh describe one run"
    older = rewritten(bundled, tmp_path / "older.zip", environment=OTHER)
    _, checks = verify(older)
    details = {check.name: check.detail for check in checks}
    assert "only explicit statements were compared (result by benchdock" in details["plan"]
    assert "000000000000" in details["plan"]


def test_a_result_of_an_older_version_holds_though_its_script_was_another(bundled, tmp_path):
    def older(script):
        return script.replace("set -euo pipefail", "set -eu")

    path = rewritten(bundled, tmp_path / "old.zip", script=older, environment=OTHER)
    verify(path)
    path = rewritten(bundled, tmp_path / "new.zip", script=older)
    assert refusal(path) == (
        "line 6 is 'set -euo pipefail' in the script of request.json and 'set -eu' in launcher.sh"
    )


# What an attacker changed in one part, and where.
FORGERIES = [
    ({"request": {"model": "vgg16"}}, "model is 'vgg16' in request.json and 'deep_mnist' in plan"),
    ({"request": {"dtype": "float16"}}, "dtype is 'float16' in request.json and 'float32' in plan"),
    ({"request": {"batch": 256}}, "batch is '256' in request.json and '2' in plan.json"),
    ({"request": {"gpus": [0, 1]}}, "the devices is '2 GPUs' in request.json and '1 x cpu'"),
    ({"request": {"phase": "inference"}}, "phase is 'inference' in request.json"),
    ({"request": {"framework": "mxnet"}}, "framework is 'mxnet' in request.json"),
    ({"request": {"steps": 1000}}, "steps is '1000' in request.json and '4' in plan.json"),
    ({"request": {"seed": 5}}, "seed is '0' in launcher.sh and '5' in request.json"),
    ({"plan": {"model": "vgg16"}}, "model is 'deep_mnist' in request.json and 'vgg16' in plan"),
    ({"plan": {"dtype": "float16"}}, "dtype is 'float32' in request.json and 'float16' in plan"),
    ({"plan": {"batch": 256}}, "batch is '2' in request.json and '256' in plan.json"),
    ({"plan": {"device_count": 8}}, "devices"),
    ({"plan": {"phase": "inference"}}, "phase is 'training' in request.json"),
    ({"plan": {"framework": "mxnet"}}, "framework is 'pytorch' in request.json and 'mxnet'"),
    ({"plan": {"steps": 1000}}, "steps is '4' in request.json and '1000' in plan.json"),
    ({"begin": {"model": "vgg16"}}, "model is 'vgg16' in log.txt and 'deep_mnist' in plan.json"),
    ({"begin": {"dtype": "float16"}}, "dtype is 'float16' in log.txt and 'float32' in plan.json"),
    ({"begin": {"batch": 256}}, "batch is '256' in log.txt and '2' in plan.json"),
    ({"begin": {"devices": 8}}, "devices is '8' in log.txt and '1' in plan.json"),
    ({"begin": {"device": "gpu"}}, "device is 'gpu' in log.txt and 'cpu' in plan.json"),
    ({"begin": {"phase": "inference"}}, "phase is 'inference' in log.txt"),
    ({"begin": {"framework": "mxnet"}}, "framework is 'mxnet' in log.txt"),
    ({"begin": {"steps": 1000}}, "steps is '1000' in log.txt and '4' in plan.json"),
    ({"begin": {"data": "real"}}, "data is 'real' in log.txt and missing in request.json"),
    ({"begin": {"framework_version": "9"}}, "framework_version is '9' in log.txt"),
    ({"program": {"model": "vgg16"}}, "model is 'deep_mnist' in log.txt and 'vgg16' in result"),
    ({"program": {"batch": 256}}, "batch is '2' in log.txt and '256' in result.json"),
    ({"program": {"framework_version": "9"}}, "framework_version is missing in log.txt"),
    ({"fingerprint": "feed"}, "the log is of a different network than the result"),
    ({"status": "failed"}, "the end is 'failed' in its status and missing in its failure"),
    ({"run": "20260101T000000-x"}, "the run is"),
]
SCRIPTS = {
    "model": ("deep_mnist", "vgg16"),
    "dtype": ("float32", "float16"),
    "phase": ("training", "inference"),
    "batch": ("=2 ", "=256 "),
    "devices": ("=1 ", "=8 "),
    "steps": ("=4 ", "=1000 "),
    "seed": ("seed=0", "seed=5"),
    "header": ("batch 2 per", "batch 256 per"),
}


@pytest.mark.slow
@pytest.mark.parametrize("environment", [THIS, OTHER], ids=["this version", "another"])
@pytest.mark.parametrize(("changes", "told"), FORGERIES)
def test_one_forged_fact_is_noticed_and_named(bundled, tmp_path, changes, told, environment):
    path = rewritten(bundled, tmp_path / "x.zip", **{"environment": environment} | changes)
    assert told in refusal(path)


def test_a_number_that_no_run_has_is_one_line(bundled, tmp_path):
    for name in ("batch", "steps", "device_count"):
        path = rewritten(bundled, tmp_path / "x.zip", plan={name: 10**400})
        with pytest.raises(RequestError, match=f"plan.{name}: it should be less than") as refused:
            verify(path)
        assert str(refused.value).isprintable()


def test_another_network_than_the_logs_is_noticed(bundled, tmp_path):
    path = rewritten(bundled, tmp_path / "x.zip", plan={"fingerprint": "feed"})
    assert "fingerprint is" in refusal(path)
    path = rewritten(path, tmp_path / "y.zip", environment=OTHER)
    assert refusal(path) == "the log is of a different network than the result"


@pytest.mark.parametrize("environment", [THIS, OTHER], ids=["this version", "another"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_that_runs_something_else_is_noticed(bundled, tmp_path, name, environment):
    before, after = SCRIPTS[name]

    def forge(script):
        assert before in script
        return script.replace(before, after)

    path = rewritten(bundled, tmp_path / "x.zip", environment=environment, script=forge)
    assert "launcher.sh" in refusal(path)


@pytest.mark.parametrize("environment", [THIS, OTHER], ids=["this version", "another"])
def test_a_claim_that_is_forged_in_request_and_plan_is_noticed(bundled, tmp_path, environment):
    """Eight H200 and a network that nobody ran, hashes made again: the script and the log tell."""
    claim = {"model": "resnet50", "dtype": "float16", "batch": 256}
    uuids = [f"GPU-{index}" for index in range(8)]
    gpus = [{"name": "NVIDIA H200", "uuid": uuid} for uuid in uuids]
    path = rewritten(
        bundled, tmp_path / "x.zip", request={**claim, "gpus": list(range(8))},
        plan={**claim, "device": "gpu", "device_count": 8, "gpus": uuids},
        environment={**environment, "gpu": {"gpus": gpus}},
    )  # fmt: skip
    assert refusal(path) == "model is 'deep_mnist' in launcher.sh and 'resnet50' in plan.json"

    def script(text):
        text = re.sub(r"model(.)deep_mnist", r"model\1resnet50", text)
        text = text.replace("float32", "float16").replace("=2 ", "=256 ")
        text = text.replace("device=cpu", "device=gpu").replace("devices=1", "devices=8")
        return text.replace("batch 2 per device, 1 x cpu", "batch 256 per device, 8 x gpu")

    path = rewritten(path, tmp_path / "y.zip", script=script, environment=OTHER)
    assert "in log.txt" in refusal(path)


def test_what_the_result_must_tell_cannot_be_left_out(bundled, tmp_path):
    with zipfile.ZipFile(bundled) as archive:
        told = json.loads(archive.read("result.json"))
    assert told["warnings"]
    path = rewritten(bundled, tmp_path / "w.zip", warnings=[])
    assert "a warning is" in refusal(path)
    assert told["monitor"]
    without = tmp_path / "m.zip"
    with zipfile.ZipFile(bundled) as old, zipfile.ZipFile(without, "w") as new:
        for name in old.namelist():
            if name == "manifest.json":
                manifest = json.loads(old.read(name))
                del manifest["files"]["monitor.jsonl"]
                new.writestr(name, json.dumps(manifest))
            elif name != "monitor.jsonl":
                new.writestr(name, old.read(name))
    assert "monitor" in refusal(without)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_change_of_the_begin_event_is_noticed(bundled, tmp_path_factory, data):
    with zipfile.ZipFile(bundled) as archive:
        begin = json.loads(archive.read("result.json"))["program"]
    name = data.draw(st.sampled_from([*begin, "new"]))
    scalars = st.none() | st.integers(1, 10**6) | st.text(max_size=5) | st.booleans()
    value = data.draw(scalars | st.dictionaries(st.text(max_size=3), scalars, max_size=2))
    path = tmp_path_factory.getbasetemp() / "begin.zip"
    rewritten(bundled, path, begin={name: value})
    if json.dumps(begin.get(name)) == json.dumps(value):
        return
    with pytest.raises(RequestError) as refused:
        verify(path)
    assert str(refused.value).isprintable()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([10**400, -1, "GPU-x", "/etc", "\x1b[31m", "host", "docker", "\n"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def leaves(value, path=()):
    """Return the paths of everything in a document."""
    inside: Iterable = value.items() if isinstance(value, dict) else []
    inside = enumerate(value) if isinstance(value, list) else inside
    return [path, *(found for key, one in inside for found in leaves(one, (*path, key)))]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_value_in_a_document_is_a_bug(bundled, tmp_path_factory, capsys, data):
    """Whatever a result says, where it says it: a line, or it holds, or it is shown."""
    with zipfile.ZipFile(bundled) as archive:
        told = json.loads(archive.read("result.json"))
    path = data.draw(st.sampled_from(leaves(told)[1:]))
    place = functools.reduce(lambda found, key: found[key], path[:-1], told)
    place[path[-1]] = data.draw(JSON)
    script = told["plan"].get("script") if isinstance(told["plan"], dict) else ""
    members = {
        "result.json": json.dumps(told), "request.json": json.dumps(told["request"]),
        "plan.json": json.dumps(told["plan"]), "launcher.sh": str(script),
    }  # fmt: skip
    forged = tmp_path_factory.getbasetemp() / "document.zip"
    resealed(bundled, forged, **{name: text.encode() for name, text in members.items()})
    commands = ["verify"], ["replay", "--dry-run"], ["replay"], ["compare", str(bundled)]
    for words in commands:
        status = main([*words, str(forged)])
        err = capsys.readouterr().err
        assert status in (ExitStatus.OK, ExitStatus.BAD_REQUEST, ExitStatus.MACHINE_CANNOT), err
        assert err.count("\n") == (status != ExitStatus.OK), err
