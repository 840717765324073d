"""Running a stored result again: it is the same, refused, or reported as changed."""

import json
import shutil

import pytest

from orchestrator.cli import main
from orchestrator.errors import ExitStatus, ImageError, RequestError
from orchestrator.images import store
from orchestrator.result import Result
from orchestrator.results import agreement, replay
from orchestrator.results.lookup import Stored, load
from orchestrator.results.source import find_image
from orchestrator.run import container_user, places
from orchestrator.run.facts import ThisMachine
from orchestrator.run.filing import to_json
from orchestrator.runtimes.host.runtime import HostRuntime
from tests.fakes import plan
from tests.support import stand_in
from tests.support.image_helpers import FakeImages, info
from tests.support.machines import answered

DIGEST = "sha256:" + "d" * 64
NAME = "registry.example:5000/x/tiny:24.06"


@pytest.fixture
def home(tmp_path):
    with stand_in.home(tmp_path):
        yield tmp_path


def altered(folder, change):
    """Rewrite a stored result."""
    document = json.loads(folder.result.read_text())
    change(document)
    folder.result.write_text(json.dumps(document))


@pytest.mark.slow
def test_a_run_is_replayed_from_its_folder(home, capsys):
    first, _ = stand_in.run()
    assert main(["replay", first.run, "--json"]) == ExitStatus.OK
    told = json.loads(capsys.readouterr().out)
    assert told["changed"] == []
    assert told["result"]["status"] == "ok"
    assert told["result"]["run"] != first.run
    assert told["result"]["plan"]["steps"] == first.plan.steps
    assert told["comparison"]["ratio"]["visible"] is None
    assert told["comparison"]["variables"] == []


@pytest.mark.slow
def test_a_run_is_replayed_from_a_bundle(home, tmp_path, capsys):
    first, folder = stand_in.run()
    main(["bundle", first.run, "-o", str(tmp_path / "x.zip")])
    shutil.rmtree(folder.root)
    assert main(["replay", str(tmp_path / "x.zip"), "--quiet", "--trust"]) == ExitStatus.OK
    assert "single runs cannot show" in capsys.readouterr().out


@pytest.mark.slow
def test_a_failure_is_replayed_too_with_its_status(home):
    first, _ = stand_in.run("nan")
    assert main(["replay", first.run, "--quiet"]) == ExitStatus.BENCHMARK_FAILED


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda d: (d.update(fingerprint="beef"), d["plan"].update(fingerprint="beef")),
            "fingerprint was beef",
        ),
        (lambda d: d["environment"].update(commit="0" * 40), "benchdock commit was 0000"),
        (lambda d: d["plan"].update(script="#!/bin/sh\nrm -rf /\n"), "launcher script"),
    ],
)
def test_a_change_is_refused_until_it_is_allowed(home, capsys, change, told):
    first, folder = stand_in.run()
    altered(folder, change)
    runs = len(list(folder.root.parent.iterdir()))
    assert main(["replay", first.run]) == ExitStatus.MACHINE_CANNOT
    err = capsys.readouterr().err
    assert told in err
    assert "--allow-changed" in err
    assert len(list(folder.root.parent.iterdir())) == runs
    assert main(["replay", first.run, "--dry-run"]) == ExitStatus.OK
    assert told in capsys.readouterr().out
    assert main(["replay", first.run, "--allow-changed", "--json"]) == ExitStatus.OK
    warnings = json.loads(capsys.readouterr().out)["result"]["warnings"]
    assert any(warning.startswith(f"unlike {first.run}: {told}") for warning in warnings)


@pytest.mark.slow
def test_another_machine_is_said_and_not_refused(home, capsys):
    first, folder = stand_in.run()
    altered(folder, lambda d: d["environment"].update(hostname="elsewhere"))
    assert main(["replay", first.run, "--json"]) == ExitStatus.OK
    warnings = json.loads(capsys.readouterr().out)["result"]["warnings"]
    assert any("machine was elsewhere" in warning for warning in warnings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d.update(request=None), "no request"),
        (lambda d: d.update(plan=None), "no plan"),
        (lambda d: d["plan"].update(batch=-1), "batch"),
        (lambda d: d["plan"].update(runtime="magic"), "runtime"),
    ],
)
def test_a_result_that_cannot_be_run_is_one_line(home, capsys, change, told):
    first, folder = stand_in.run()
    altered(folder, change)
    assert main(["replay", first.run]) == ExitStatus.BAD_REQUEST
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert told in err


def test_an_image_is_found_by_id_then_by_digest_then_pulled():
    asked = plan(image=NAME, image_id="sha256:1", image_digest=DIGEST)
    engine = FakeImages()
    reference = f"registry.example:5000/x/tiny@{DIGEST}"
    source = find_image(asked, engine)
    assert (source.how, source.registry) == ("pull", reference)
    engine.here[reference] = info(reference, {}, DIGEST)
    assert find_image(asked, engine).how == "exact"
    engine.here["sha256:1"] = info(NAME, {})
    assert find_image(asked, engine).image == engine.here["sha256:1"]


def test_an_image_built_here_and_gone_is_said_to_be_gone():
    source = find_image(plan(image="benchdock/x:1", image_id="sha256:abc"), FakeImages())
    assert source.how == "ours"
    assert "benchdock/x:1 (abc) is no longer here" in source.why


class FakeEngine(FakeImages, HostRuntime):
    """Images as told, and containers that are processes of this host."""

    name, version = "fake", "1"


@pytest.fixture
def stored(home, monkeypatch):
    """A result that was measured in a container, and the engine it may be replayed on."""
    engine = FakeEngine()
    monkeypatch.setattr(ThisMachine, "container_engine", answered(engine))
    first, folder = stand_in.run()
    in_container = first.plan.model_copy(
        update={"runtime": "docker", "image": NAME, "image_id": "sha256:1", "image_digest": DIGEST}
    )
    result = first.model_copy(update={"plan": in_container})
    folder.result.write_text(to_json(result))
    return load(first.run), engine


def test_a_pull_that_fails_is_refused_until_changes_are_allowed(stored):
    what, _ = stored
    prepared = replay.prepare(what)
    assert prepared.source.how == "pull"
    with pytest.raises(ImageError, match="use --allow-changed"):
        replay.fetch(prepared, stand_in.View(), allow_changed=False)
    fetched = replay.fetch(prepared, stand_in.View(), allow_changed=True)
    assert fetched.source.how == "ours"
    assert "not available" in fetched.changed[-1]


@pytest.mark.slow
def test_a_pulled_image_is_the_one_that_runs(stored, monkeypatch):
    what, engine = stored
    reference = f"registry.example:5000/x/tiny@{DIGEST}"
    engine.registry[reference] = info(reference, {}, DIGEST)
    fetched = replay.fetch(replay.prepare(what), stand_in.View(), allow_changed=False)
    assert fetched.source.how == "exact"
    ran = []

    def place_in(ready, reason):
        ran.append((ready.id, ready.reference, ready.mount_backends))
        return stand_in.the_place()

    monkeypatch.setattr(places, "place_in", place_in)
    result, status = replay.run(fetched, stand_in.View())
    assert status is ExitStatus.OK, result.failure
    assert ran == [(engine.registry[reference].id, NAME, True)]


def test_needs_of_a_container_come_from_our_table_and_not_from_a_bundle(stored):
    what, engine = stored
    engine.here["sha256:1"] = engine.here[NAME] = info(NAME, {})
    greedy = what.result.plan.model_copy(update={"capabilities": ("SYS_ADMIN",), "user": "0:0"})
    result = what.result.model_copy(update={"plan": greedy})
    prepared = replay.prepare(Stored(name="x", path=what.path, kind="file", result=result))
    assert prepared.plan.capabilities == ()
    assert prepared.plan.user == container_user.choose(prepared.decision.request)


def test_an_exact_image_with_our_code_keeps_the_network_of_its_time(stored):
    what, engine = stored
    labels = {"benchdock.backends": "old"}
    engine.here["sha256:1"] = engine.here[NAME] = info(NAME, labels)
    older = what.result.plan.model_copy(update={"fingerprint": "beef"})
    result = what.result.model_copy(update={"fingerprint": "beef", "plan": older})
    prepared = replay.prepare(Stored(name="x", path=what.path, kind="file", result=result))
    assert not any("fingerprint" in text for text in prepared.changed)
    assert not store.as_it_is(engine.here["sha256:1"], NAME, table()).mount_backends


def table():
    from orchestrator.images import image_table

    return image_table.load()


def test_a_result_from_only_a_log_cannot_be_run(tmp_path):
    bare = Result(benchdock="0.1.0", status="ok")
    with pytest.raises(RequestError, match="use a result of `benchdock run`"):
        replay.prepare(Stored(name="x", path=tmp_path, kind="file", result=bare))


@pytest.mark.slow
def test_a_program_of_others_is_the_same_with_another_benchdock(home, capsys):
    first, folder = stand_in.run(
        framework="custom", command="echo fps=3", pattern=r"fps=(\S+)", options={}
    )
    altered(folder, lambda document: document["environment"].update(commit="0" * 40))
    assert main(["replay", first.run, "--dry-run"]) == ExitStatus.OK
    told = capsys.readouterr().out
    assert "note: benchdock commit was 0000" in told
    assert "changed:" not in told


@pytest.mark.slow
def test_a_changed_program_in_its_folder_is_refused_unless_it_is_allowed(home, tmp_path, capsys):
    source = tmp_path / "program"
    source.mkdir()
    (source / "x.sh").write_text("echo fps=3\n")
    first, _ = stand_in.run(
        framework="custom", command="bash {source}/x.sh", pattern=r"fps=(\S+)", source=source,
        options={}, batch=None, steps=None,
    )  # fmt: skip
    assert main(["replay", first.run, "--dry-run"]) == ExitStatus.OK
    assert "changed:" not in capsys.readouterr().out
    (source / "x.sh").write_text("echo fps=4\n")
    assert main(["replay", first.run]) == ExitStatus.MACHINE_CANNOT
    assert "program's folder was sha256:" in capsys.readouterr().err
    assert main(["replay", first.run, "--allow-changed", "--json"]) == ExitStatus.OK
    warnings = json.loads(capsys.readouterr().out)["result"]["warnings"]
    assert any(f"unlike {first.run}: program's folder was" in text for text in warnings)
    # What a replay pins was not typed by anybody: it is not a mistake if the command ignores it.
    assert not any("has no effect" in text for text in warnings)


@pytest.mark.parametrize(
    ("asked", "planned", "agree"),
    [
        ("pytorch-cpu", "benchdock/pytorch-cpu:2.13.0-0123456789ab", True),
        ("benchdock/pytorch-cpu:2.13.0", "benchdock/pytorch-cpu:2.13.0-0123456789ab", True),
        # A result of before the tags held digests, and of another release.
        ("pytorch-cpu", "benchdock/pytorch-cpu:2.13.0", True),
        ("pytorch-cpu", "benchdock/pytorch-cpu:2.12.0", True),
        ("pytorch-cpu", "benchdock/extras-cpu:2.13.0-0123456789ab", False),
        ("pytorch-cpu", "mine/pytorch-cpu:2.13.0", False),
        ("benchdock/pytorch-cpu:2.13.0-0123456789ab", "benchdock/pytorch-cpu:2.13.0", False),
        ("mine/x:1", "mine/x:1", True),
        (None, "mine/x:1", False),
    ],
)
def test_the_image_of_a_request_is_that_of_its_plan(asked, planned, agree):
    one, other = agreement._images(asked, planned)
    assert (one == other) is agree
