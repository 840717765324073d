"""Two checkouts on one engine: each runs its own build, and builds that neither needs can be
removed.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator import paths
from orchestrator.cli import main
from orchestrator.images import digests, image_table, pruning
from orchestrator.runtimes.docker.client import Engine
from tests.engine import tiny_image

pytestmark = pytest.mark.engine

ID = "test-shared"
PROGRAM = """
import sys, torch
if sys.argv[1:] == ["self-check"]:
    {check}
else:
    print("{name} rate 5", flush=True)
"""


@dataclass
class Checkout:
    """A copy of this project with a further image, whose program prints the copy's name."""

    folder: Path
    environment: dict[str, str]

    @classmethod
    def make(cls, folder: Path, environment: dict[str, str], pip: str) -> "Checkout":
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("orchestrator", "backends", "launchers", "dockerfiles"):
            shutil.copytree(paths.PROJECT / name, folder / name, ignore=ignored)
        shutil.copy(paths.PROJECT / "pyproject.toml", folder)
        table = folder / "dockerfiles" / "images.toml"
        text = re.sub(r'^pip = ".*"', f'pip = "{pip}"', table.read_text(), flags=re.MULTILINE)
        table.write_text(text + tiny_image.ROW.format(id=ID))
        tiny_image.write_recipe(folder / "dockerfiles" / ID)
        (folder / "backends" / "tiny").mkdir()
        (folder / "backends" / "tiny" / "__init__.py").write_text("")
        made = cls(folder, {**environment, "PYTHONPATH": str(folder)})
        made.write_program()
        return made

    @property
    def name(self) -> str:
        return self.folder.name

    def write_program(self, check: str = "pass") -> None:
        text = PROGRAM.format(name=self.name, check=check)
        (self.folder / "backends" / "tiny" / "__main__.py").write_text(text)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *words],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def benchdock(self, *words: str) -> tuple[str, str]:
        process = self.start(*words)
        out, err = process.communicate()
        assert process.returncode == 0, err
        return out, err

    def run(self) -> tuple[dict, str]:
        """Run the program in the image; return the result and what was said."""
        out, err = self.benchdock(
            "run", "who", "-f", "custom", "--runtime=docker", "--gpus=none", f"--image={ID}",
            "--command", "python3 -m backends.tiny", "--pattern", r"rate (\d+)",
            "--unit=samples/s", "--json",
        )  # fmt: skip
        result = json.loads(out)
        log = Path(self.environment["BENCHDOCK_HOME"]) / "runs" / result["run"] / "log.txt"
        assert f"{self.name} rate 5" in log.read_text()
        return result, err


@pytest.fixture(scope="module")
def checkouts(engine, tmp_path_factory):
    """Return two checkouts that share an engine and a home."""
    folder = tmp_path_factory.mktemp("checkouts")
    folder.chmod(0o755)
    tiny_image.skip_unless_it_can_be_built(engine)
    pip = tiny_image.write_wheels(folder / "wheels")
    environment = os.environ | {
        "BENCHDOCK_HOME": str(folder / "home"),
        "PIP_FIND_LINKS": str(folder / "wheels"),
        "PIP_NO_INDEX": "1",
        "BENCHDOCK_BUILD_NETWORK": "none",
    }
    yield [Checkout.make(folder / name, environment, pip) for name in ("ours", "theirs")]
    tiny_image.remove_all(ID)


def prune(capsys, monkeypatch, checkout, *words):
    """Run `images prune` of a checkout here, where an image need not get old first."""
    monkeypatch.setattr(pruning, "YOUNG", 0.0)
    monkeypatch.setattr(paths, "DOCKERFILES", checkout.folder / "dockerfiles")
    monkeypatch.setattr(paths, "BACKENDS", checkout.folder / "backends")
    monkeypatch.setenv("BENCHDOCK_HOME", checkout.environment["BENCHDOCK_HOME"])
    image_table.load.cache_clear()
    capsys.readouterr()
    assert main(["images", "prune", ID, "--json", *words]) == 0
    monkeypatch.undo()
    image_table.load.cache_clear()
    return {row["image"]: row for row in json.loads(capsys.readouterr().out)["prune"]}


def test_two_checkouts_run_alternately_and_prune(engine, checkouts, capsys, monkeypatch):
    ours, _ = checkouts
    first = {}
    for checkout in checkouts:
        result, said = checkout.run()
        assert f"building benchdock/{ID}:1.0-" in said
        first[checkout.name] = result["plan"]
    plans = first.values()
    assert len({plan["image"] for plan in plans}) == len({plan["image_id"] for plan in plans}) == 2
    alias = engine.image(f"benchdock/{ID}:1.0").id
    assert alias == first["theirs"]["image_id"]

    for checkout in checkouts:
        result, said = checkout.run()
        assert "building" not in said
        for name in ("image", "image_id"):
            assert result["plan"][name] == first[checkout.name][name]
    assert engine.image(f"benchdock/{ID}:1.0").id == alias

    # A run of the other checkout is repeated in its own image, whatever the readable name is.
    out, _ = ours.benchdock("replay", result["run"], "--dry-run")
    assert "would run in the same image, which is here" in out

    out, _ = ours.benchdock("images", "prune", ID, "--dry-run")
    assert f"{first['ours']['image']} " in out
    assert out.splitlines()[-1].endswith("of which 0 B would be freed")

    names = {name: plan["image"] for name, plan in first.items()}
    kept = prune(capsys, monkeypatch, ours, "--keep", "0")
    assert {row["did"] for row in kept.values()} == {"kept"}
    assert kept[names["theirs"]]["why"].startswith("to replay ")

    gone = prune(capsys, monkeypatch, ours, "--keep", "0", "--ignore-results")
    assert gone[names["theirs"]]["did"] == "removed"
    assert gone[names["ours"]]["why"] == "this benchdock uses it"
    assert engine.image(first["theirs"]["image_id"]) is None
    # The layers below stay, and the readable name is now that of the build that is left.
    assert engine.image(f"benchdock/{ID}:1.0").id == first["ours"]["image_id"]


def test_a_build_that_is_killed_leaves_no_name_and_what_it_leaves_is_pruned(
    engine, checkouts, capsys, monkeypatch
):
    _, theirs = checkouts
    alias = engine.image(f"benchdock/{ID}:1.0")
    theirs.write_program(check="print('checking', flush=True); import time; time.sleep(60)")
    process = theirs.start("images", "build", ID)
    assert process.stderr is not None
    assert any("checking" in line for line in process.stderr)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    process.stdout.close()

    assert engine.image(f"benchdock/{ID}:1.0") == alias
    for _ in range(100):  # until the engine has ended the step
        left = prune(capsys, monkeypatch, theirs, "--dry-run")
        unnamed = [row for row in left.values() if not row["tags"]]
        if unnamed and all(row["did"] != "kept" for row in unnamed):
            break
        time.sleep(0.1)
    assert [row["did"] for row in unnamed] == ["would be removed"]
    gone = prune(capsys, monkeypatch, theirs)
    assert [row["did"] for row in gone.values() if not row["tags"]] == ["removed"]
    assert engine.image(unnamed[0]["id"]) is None

    theirs.write_program()
    _, said = theirs.benchdock("images", "build", ID)
    assert "building" in said


def test_the_space_that_is_reported_is_what_the_engine_frees(private_engine, tmp_path, monkeypatch):
    private_engine.up()
    monkeypatch.setenv("DOCKER_HOST", private_engine.address)
    table = image_table.load()
    with Engine.connect() as engine:
        stack(engine, tmp_path)
        before = layers_size(private_engine)
        monkeypatch.setattr(pruning, "YOUNG", 0.0)
        found = pruning.candidates(engine, table, keep=0, results={})
        assert [one.why for one in found] == [""] * 3
        for one in found:
            pruning.remove(one, engine)
        assert before - layers_size(private_engine) == sum(one.takes for one in found)
        assert sum(one.takes for one in found) == (5 + 2 + 2) * 2**20
        assert engine.image("base:1") is not None


def stack(engine, folder):
    """Build a base of 1 MiB, layers upon it of 5, and two images upon those of 2 each."""

    def build(base, megabytes, tag, labels):
        context = folder / tag.replace("/", "-")
        context.mkdir()
        (context / "file").write_bytes(os.urandom(megabytes * 2**20))
        (context / "Dockerfile").write_text(f"FROM {base}\nCOPY file /{megabytes}\n")
        engine.build(context, tag=tag, labels=labels, on_line=lambda line: None)

    build("scratch", 1, "base:1", {})
    framework = f"benchdock/{ID}-framework:{'0' * 12}"
    build("base:1", 5, framework, {digests.IMAGE: ID, digests.FRAMEWORK: framework})
    for digits in ("1" * 12, "2" * 12):
        build(framework, 2, f"benchdock/{ID}:1.0-{digits}", {digests.BACKENDS: digits})


def layers_size(private_engine):
    """Return what all layers take, as the engine says, in bytes."""
    url = private_engine.address.removeprefix("unix://")
    told = subprocess.run(
        ["curl", "--silent", "--unix-socket", url, "http://engine/system/df"],
        capture_output=True, check=True,
    )  # fmt: skip
    return json.loads(told.stdout)["LayersSize"]
