"""Without trust, a stranger's bundle, result or claim may only run one of our benchmarks."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydantic import Field

from backends.zoo import draw
from orchestrator.cli import main
from orchestrator.errors import ExitStatus, RequestError
from orchestrator.images import digests, image_table
from orchestrator.machine.description import EngineFacts
from orchestrator.published import claim_file
from orchestrator.reproduction import preparation
from orchestrator.reproduction.setup import Wishes
from orchestrator.request import Request
from orchestrator.results import replay
from orchestrator.results.lookup import load
from orchestrator.results.source import find_image
from orchestrator.run import trust
from orchestrator.run.facts import ThisMachine
from orchestrator.runtimes.host.runtime import HostRuntime
from tests.fakes import plan
from tests.support import stand_in
from tests.support.image_helpers import FakeImages, info
from tests.support.machines import Known, answered

DIGEST = "sha256:" + "d" * 64


def asks(**changes):
    request = Request(**{"model": "deep_mnist", "framework": "pytorch"} | changes)
    return trust.asks(request)


@pytest.mark.parametrize(
    "changes",
    [
        {"phase": "inference", "dtype": "bfloat16", "batch": 3, "gpus": (0,), "steps": 9},
        {"timeout": 5, "memory": 10**9, "pids": 7, "threads": 2, "seed": 4, "runtime": "docker"},
        {"options": {"layout": "channels_last"}},
        {"framework": "tf_cnn_benchmarks", "options": {"xla": "on", "display_every": "5"}},
        {"framework": "caffe2_net", "options": {"engine": "CUDNN"}},
        {"framework": "mxnet_train_imagenet", "options": {"records": "train.rec"}},
        {"image": "nvcr.io/nvidia/pytorch:24.06-py3"},
        {"image": "pytorch-cpu"},
        {"image": "bvlc/caffe:gpu"},
    ],
)
def test_a_benchmark_of_ours_needs_no_trust(changes):
    assert asks(**changes) == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"runtime": "host"}, "run on this host, outside of any container"),
        ({"framework": "custom", "command": "rm -rf '~'"}, "start the command \"rm -rf '~'\""),
        ({"python": "/opt/x"}, "start the Python '/opt/x' of this machine"),
        ({"source": "/root"}, "read the program's folder '/root' of this machine"),
        ({"data": "/etc"}, "read the folder '/etc' of this machine"),
        ({"model_file": "/x.onnx"}, "read the file '/x.onnx' of this machine"),
        ({"image": "me/mine:1"}, "run the image 'me/mine:1'"),
        ({"image": "evil.io/nvidia/pytorch:24.06-py3"}, "run the image 'evil.io/nvidia/"),
        ({"image": "pytorch:24.06-py3"}, "run the image 'pytorch:24.06-py3'"),
        ({"image": "no image\x1b"}, r"run the image 'no image\x1b'"),
        (
            {"framework": "timm", "options": {"flag.model": "x"}},
            "give the program '--option flag.model=x'",
        ),
        (
            {"framework": "tensorrt", "options": {"flag.plugins": "/tmp/x.so"}},
            "give the program '--option flag.plugins=/tmp/x.so'",
        ),
        ({"options": {"no such": "x"}}, "give the program '--option no such=x'"),
    ],
)
def test_what_is_not_ours_is_named(changes, told):
    (found,) = asks(**changes)
    assert found.startswith(told)
    assert found.isprintable()


@pytest.mark.parametrize("text", ["/etc/x", "../x", "-x", "a b", "$(id)", "a/../b", "x\n", "é"])
def test_an_option_without_listed_values_takes_plain_words_only(text):
    (found,) = asks(framework="mxnet_train_imagenet", options={"records": text})
    assert found.startswith("give the program")


def test_every_field_of_a_request_is_harmless_or_has_to_be_trusted():
    """A field that a later version adds has to be trusted, until somebody lists it here."""
    known = {"data", "source", "model_file", "image", "runtime", "command", "options"}
    assert {*Request.model_fields} >= trust.HARMLESS
    assert known.isdisjoint(trust.HARMLESS)

    class Later(Request):
        wrapper: tuple[str, ...] = ()
        secrets: dict[str, str] = Field(default_factory=dict)
        drivers: str = "none"

    usual = {"model": "deep_mnist", "framework": "pytorch"}
    assert trust.asks(Later(**usual)) == ()
    later = Later(**usual, wrapper=("strace",), secrets={"TOKEN": "x"}, drivers="all")
    assert trust.asks(later) == (
        "set wrapper to \"('strace',)\"",
        "set secrets to \"{'TOKEN': 'x'}\"",
        "set drivers to 'all'",
    )


def test_what_changes_what_a_program_may_do_has_to_be_trusted():
    found = asks(env={"LD_PRELOAD": "x"}, prefix="numactl -N 0", network="host", as_root=True)
    assert set(found) == {
        "set the variable 'LD_PRELOAD=x'",
        "start the program with 'numactl -N 0'",
        "use the engine's network 'host'",
        "run as root in its container",
    }


def test_an_image_of_ours_from_a_registry_is_somebody_elses():
    request = Request(model="deep_mnist", framework="pytorch")
    ours = image_table.load().image("pytorch-cpu").tag
    assert trust.asks(request, image=ours) == ()
    (found,) = trust.asks(request, image=ours, digest=DIGEST)
    assert found.startswith(f"run the image '{ours}@sha256:")
    build = f"{ours}-0123456789ab"
    assert trust.asks(request, image=build) == ()
    assert len(trust.asks(request, image=build, digest=DIGEST)) == 1
    assert len(trust.asks(request, image=f"{build}@{DIGEST}")) == 1
    assert len(trust.asks(request, image="benchdock/no-such-image:1")) == 1
    vendors = "nvcr.io/nvidia/pytorch:24.06-py3"
    assert trust.asks(request, image=vendors, digest=DIGEST) == ()


@pytest.fixture
def home(tmp_path):
    with stand_in.home(tmp_path / "home"):
        yield tmp_path


@pytest.fixture
def attack(home):
    """A bundle whose program is a command for this host, from another home."""
    loot = home / "loot"
    request = {
        "framework": "custom", "options": {}, "batch": None, "steps": None,
        "command": f"bash -c 'id -un >> {loot}; echo fps=3'", "pattern": r"fps=(\S+)",
    }  # fmt: skip
    with stand_in.home(home / "theirs"):
        result, _ = stand_in.run(**request)
        assert main(["bundle", result.run, "-o", str(home / "run.zip")]) == ExitStatus.OK
    loot.unlink()
    return home / "run.zip", loot


def test_a_strangers_command_does_not_run_on_this_host(attack, capsys):
    path, loot = attack
    assert main(["verify", str(path)]) == ExitStatus.OK
    capsys.readouterr()
    for more in ([], ["--allow-changed"], ["--quiet"]):
        assert main(["replay", str(path), *more]) == ExitStatus.BAD_REQUEST
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "run.zip may come from a stranger, and it would run on this host" in err
        assert "start the command \"bash -c 'id -un >>" in err
        assert f"`benchdock replay {path} --dry-run` to see what would run; add --trust" in err
    assert not loot.exists()


@pytest.mark.slow
def test_a_dry_run_shows_what_would_run_and_starts_nothing(attack, capsys):
    path, loot = attack
    assert main(["replay", str(path), "--dry-run"]) == ExitStatus.OK
    out = capsys.readouterr().out
    assert "it would run on this host, outside of any container (needs --trust)" in out
    assert f"exec bash -c 'id -un >> {loot}; echo fps=3'" in out
    assert "runtime         host" in out
    assert main(["replay", str(path), "--dry-run", "--json"]) == ExitStatus.OK
    told = json.loads(capsys.readouterr().out)
    assert [text.partition(" ")[0] for text in told["needs_trust"]] == ["run", "start"]
    assert told["plan"]["script"].endswith("echo fps=3'\n")
    assert not loot.exists()


@pytest.mark.slow
def test_what_is_trusted_runs(attack):
    path, loot = attack
    assert main(["replay", str(path), "--trust", "--quiet"]) == ExitStatus.OK
    assert loot.exists()


def test_own_runs_need_no_trust_and_copies_of_them_do(home, capsys):
    result, folder = stand_in.run()
    assert load(result.run).is_own
    assert load(str(folder.root)).is_own
    assert load(str(folder.result)).is_own
    link = home / "link"
    link.symlink_to(folder.root)
    assert load(str(link)).is_own
    copy = home / folder.run_id
    shutil.copytree(folder.root, copy)
    assert not load(str(copy)).is_own
    left = folder.root / "left.json"  # by the program
    shutil.copy(folder.result, left)
    assert not load(str(left)).is_own
    inside = folder.root / "out"
    shutil.copy(folder.result, inside / "result.json")
    assert not load(str(inside)).is_own
    assert not load(str(inside / "result.json")).is_own
    assert main(["replay", str(copy)]) == ExitStatus.BAD_REQUEST
    assert "may come from a stranger" in capsys.readouterr().err


def test_a_name_of_a_model_that_leads_out_of_the_folder_of_runs_is_refused(home):
    result, folder = stand_in.run()
    document = json.loads(folder.result.read_text())
    document["request"] |= {"model": "../../x", "model_file": "/x.onnx"}
    folder.result.write_text(json.dumps(document))
    with pytest.raises(RequestError, match="is not a valid model name"):
        replay.prepare(load(result.run))


class FakeEngine(FakeImages, HostRuntime):
    name, version = "fake", "1"


def test_folders_that_a_bundle_names_are_shown_and_not_mounted(home, monkeypatch, capsys):
    _, folder = stand_in.run()
    engine = FakeEngine()
    monkeypatch.setattr(ThisMachine, "container_engine", answered(engine))
    tag = image_table.load().image("pytorch-cpu").tag
    engine.here[tag] = engine.here["sha256:1"] = info(tag, {digests.IMAGE: "pytorch-cpu"})
    document = json.loads(folder.result.read_text())
    theirs = home / "theirs"
    theirs.mkdir()
    shape = draw(document["request"]["model"]).input_shape
    np.savez(theirs / "a.npz", x=np.zeros((2, *shape), np.uint8), y=np.zeros(2, int))
    document["request"] |= {"data": str(theirs), "runtime": "docker", "options": {}}
    document["plan"] |= {"runtime": "docker", "image": tag, "image_id": "sha256:1"}
    path = home / "stranger.json"
    path.write_text(json.dumps(document))
    assert main(["replay", str(path)]) == ExitStatus.BAD_REQUEST
    err = capsys.readouterr().err
    assert f"and it would read the folder '{theirs}' of this machine; run `" in err
    assert main(["replay", str(path), "--dry-run"]) == ExitStatus.OK
    out = capsys.readouterr().out
    assert f"it would read the folder '{theirs}' of this machine (needs --trust)" in out
    assert f"{theirs} as /benchdock/data, read-only" in out
    assert f"image           {tag}" in out
    assert engine.registry == {}


def test_a_strangers_image_id_must_be_of_the_image_that_is_named():
    tag = image_table.load().image("pytorch-cpu").tag
    asked = plan(image=tag, image_id="sha256:1")
    engine = FakeImages()
    engine.here["sha256:1"] = info("private/of/mine:1", {})
    assert find_image(asked, engine).how == "exact"
    assert find_image(asked, engine, own=False).how == "ours"
    engine.here["sha256:1"] = info("untagged", {digests.IMAGE: "pytorch-cpu"})
    for name in (tag, f"{tag}-0123456789ab", "benchdock/pytorch-cpu:2.12.0"):
        named = plan(image=name, image_id="sha256:1")
        assert find_image(named, engine, own=False).how == "exact"
    vendors = plan(image="nvcr.io/nvidia/pytorch:24.06-py3", image_id="sha256:1")
    assert find_image(vendors, engine, own=False).how == "ours"
    engine.here[vendors.image] = engine.here["sha256:1"]
    assert find_image(vendors, engine, own=False).how == "exact"


CLAIM = """
model: deep_mnist
framework: pytorch
gpus: 0
gpu: me
batch: 2
value: 4.0
"""


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("container: evil/x:1", "run the image 'evil/x:1'"),
        ("options: {behaviour: ../x}", "give the program '--option behaviour=../x'"),
    ],
)
def test_a_claim_of_a_file_runs_nothing_of_its_own(home, monkeypatch, capsys, more, told):
    monkeypatch.setattr(ThisMachine, "container_engine", answered(EngineFacts()))
    path = home / "claim.yaml"
    path.write_text(CLAIM + more)
    assert main(["reproduce", str(path), "--dry-run"]) == ExitStatus.OK
    assert f"it would {told} (needs --trust)" in capsys.readouterr().out
    assert main(["reproduce", str(path), "--dry-run", "--json"]) == ExitStatus.OK
    assert json.loads(capsys.readouterr().out)["needs_trust"] == [told]
    assert main(["reproduce", str(path)]) == ExitStatus.BAD_REQUEST
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert f"claim may come from a stranger, and it would {told}; run `benchdock reproduce" in err
    ran = []

    def reproduce(*_):
        ran.append(1)
        return ExitStatus.OK

    monkeypatch.setattr("orchestrator.commands.reproduce._reproduce", reproduce)
    assert main(["reproduce", str(path), "--trust"]) == ExitStatus.OK
    assert ran == [1]


def test_what_the_user_types_beside_a_claim_is_the_users_own(home):
    path = home / "claim.yaml"
    path.write_text(CLAIM + "container: evil/x:1\noptions: {behaviour: ../x}")
    own = claim_file.read(path)
    wishes = Wishes(
        claimed=own.options, options={"behaviour": "/y"}, image="me/mine:1", data=Path("/data")
    )
    setup = preparation.prepare(own.claim("x"), Known(), wishes)
    assert preparation.asks_of(setup.planned, wishes) == ()
    assert len(preparation.asks_of(setup.planned, Wishes(claimed=own.options))) == 2


def test_terminal_escapes_of_a_stranger_are_not_printed(attack, home, capsys):
    path, _ = attack
    with zipfile.ZipFile(path) as archive:
        document = json.loads(archive.read("result.json"))
    document["request"]["command"] = "echo '\u202e\u2066hidden' '\u200b'"
    stranger = home / "escapes.json"
    stranger.write_text(json.dumps(document))
    main(["replay", str(stranger), "--dry-run"])
    out = capsys.readouterr().out
    assert not {"\u202e", "\u2066", "\u200b", "\x1b"} & {*out}
    main(["replay", str(stranger)])
    assert capsys.readouterr().err.strip().isprintable()
