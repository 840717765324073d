"""`make programs`: runs vendors' programs in the releases that they were written for.

They are not part of this project: $BENCHDOCK_UPSTREAM is a folder with clones of their
repositories, under their own names (programs.toml). Each is planned and started by the launcher
like a run on the host, with an interpreter of the release, and its log is read as by
`benchdock parse`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from orchestrator import paths
from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import Framework
from orchestrator.parsers import parse
from orchestrator.paths import PROJECT, RunFolder
from orchestrator.plan import Plan
from orchestrator.request import Request
from orchestrator.result import Measurement
from orchestrator.run import checks, planner
from orchestrator.run.devices import Target
from orchestrator.run.hints import hints_of
from orchestrator.run.place import Place
from tests.releases import running
from tests.releases.matrix import Line

HERE = Path(__file__).parent
STAND_INS = HERE / "stand_ins"
ARGUMENTS = HERE / "arguments"
ACCEPTED = "all flags are known"
VARIABLE = "BENCHDOCK_UPSTREAM"
SECONDS = 1200
HEADER = """\
| program | of | release | Python | run | the program's figure | benchdock's | |
|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program of others and the release that it is run in; see programs.toml for the fields."""

    line: Line
    clone: str
    path: str
    runs: tuple[tuple[str, str], ...]
    ref: str = ""
    before: str = ""
    own: str = ""
    steps: int | None = 6
    unasked: tuple[str, ...] = ()
    gpu: bool = False
    only_flags: bool = False
    options: tuple[tuple[str, str], ...] = ()
    absent: str = ""
    starters: str = ""
    gflags: str = ""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one run gave: the program's own figure and benchdock's, in samples/s, or a fault."""

    program: Program
    run: str
    own: float | None = None
    figure: float | None = None
    fault: str = ""

    def row(self) -> str:
        """Return this as a row of Markdown."""
        line = self.program.line
        figures = ["-" if one is None else f"{one:.6g}" for one in (self.own, self.figure)]
        of = self.program.ref or f"before {self.program.before}"
        cells = [line.framework, of, line.release, line.python, self.run, *figures]
        verdict = "agrees" if self.own is not None else "read" if self.figure else "accepted"
        return "| " + " | ".join([*cells, self.fault or verdict]) + " |"


def load(path: Path = HERE / "programs.toml") -> list[Program]:
    """Return the programs, one for each release."""
    return [
        _program(name, program, fields)
        for name, program in tomllib.loads(path.read_text()).items()
        for fields in program["lines"]
    ]


def _program(name: str, program: dict[str, Any], fields: dict[str, Any]) -> Program:
    line = Line(
        framework=program.get("framework", name),
        release=fields["release"],
        python=fields["python"],
        packages=tuple(fields["packages"]),
    )
    return Program(
        line=line,
        clone=program["clone"],
        path=program["path"],
        runs=tuple((model, phase) for model, phase in program["runs"]),
        ref=fields.get("ref", ""),
        before=fields.get("before", ""),
        own=program.get("own", ""),
        steps=program.get("steps", 6) or None,
        unasked=tuple(program.get("unasked", ())),
        gpu=program.get("gpu", False),
        only_flags=program.get("only_flags", False),
        options=tuple(program.get("options", {}).items()),
        absent=" ".join(program.get("absent", ())),
        starters=" ".join(program.get("starters", ())),
        gflags=program.get("gflags", ""),
    )


def main() -> int:
    """Run all programs, or those whose name starts with a word; exit status 1 on a fault."""
    parser = argparse.ArgumentParser(prog="make programs")
    parser.add_argument("--flags", action="store_true", help="only ask for the launcher's flags")
    parser.add_argument("words", nargs="*", help="how names such as nvcnn-1.8.0 begin")
    asked = parser.parse_args()
    words = tuple(asked.words) or ("",)
    clones = os.environ.get(VARIABLE)
    if not clones:
        print(f"{VARIABLE} does not say where the clones are", file=sys.stderr)
        return 2
    wheels = paths.home() / "releases" / "wheels"
    print(HEADER)
    faults = 0
    for program in load():
        if f"{program.line.framework}-{program.line.release}".startswith(words):
            for seen in tried(program, Path(clones), wheels, only_flags=asked.flags):
                print(seen.row(), flush=True)
                faults += bool(seen.fault)
    return 1 if faults else 0


def tried(
    program: Program, clones: Path, wheels: Path, *, only_flags: bool = False
) -> Iterator[Seen]:
    """Try a program in an environment of its release, which is deleted afterwards."""
    with tempfile.TemporaryDirectory(prefix="benchdock-program-") as name:
        folder = Path(name)
        try:
            source = check_out(program, clones, folder / "source")
            python = running.environment(program.line, folder / "environment", wheels)
        except running.NotRunError as error:
            yield Seen(program=program, run="-", fault=f"not run: {error}")
            return
        yield from accepted(program, source, python, folder)
        runs = () if only_flags or program.only_flags else program.runs
        for number, (model, phase) in enumerate(runs):
            yield one_run(program, model, phase, source, python, folder / str(number))


def check_out(program: Program, clones: Path, folder: Path) -> Path:
    """Write a program's folder out of a clone. Raises `NotRunError`."""
    ref = program.ref
    if program.before:
        ref = _git(clones / program.clone, "rev-list", "-1", f"--before={program.before}", "HEAD")
    folder.mkdir(parents=True)
    # By its tree: a clone may lack files of other folders.
    archive = _git_bytes(clones / program.clone, "archive", f"{ref.strip()}:{program.path}")
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def accepted(program: Program, source: Path, python: Path, folder: Path) -> Iterator[Seen]:
    """Ask the program whether it knows all flags that the launcher can write.

    What is refused before the start is not asked.
    """
    refused = []
    asked = 0
    for name, plan, files in cases(program, source, python, folder):
        files.launcher.write_text(plan.script)
        files.log.touch()
        start(program, files, _asking(program, source, python), ARGUMENTS)
        log = files.log.read_text(errors="replace")
        asked += 1
        if ACCEPTED not in log or "refused: " in log:
            refused.append(f"{name}: {(log.strip().splitlines() or ['it said nothing'])[-1]}")
    yield Seen(program=program, run=f"flags of {asked} cases", fault="; ".join(refused))


def _asking(program: Program, source: Path, python: Path) -> dict[str, str]:
    """Return the variables with which a program only reads its command line."""
    reads = {"BENCHDOCK_PARSE_ONLY": "1", "BENCHDOCK_STARTERS": program.starters}
    if program.gflags:
        reads = {"BENCHDOCK_GFLAGS": str(source / program.gflags)}
    path = f"{ARGUMENTS}:{python.parent}:{os.environ['PATH']}"
    return {**reads, "BENCHDOCK_ABSENT": program.absent, "PATH": path}


def cases(
    program: Program, source: Path, python: Path, folder: Path
) -> Iterator[tuple[str, Plan, RunFolder]]:
    """Plan a run for each device, phase and number of devices, by default and with all changed."""
    framework = _framework(program)
    for (device, phase), dtypes in framework.dtypes.items():
        for count in (1, 2, 8) if device == "gpu" and framework.multi_gpu else (1,):
            gpus = tuple(map(str, range(count))) if device == "gpu" else ()
            target = Target(device=device, gpus=gpus)
            model = program.runs[0][0]
            fit = [
                d for d in dtypes if not any(u.forbids(model, phase, d) for u in framework.unfit)
            ]
            options = dict(program.options)
            usual = {"model": model, "phase": phase, "dtype": fit[-1], "options": options}
            changed = _changed(program, source, usual, target)
            for other in ({}, changed) if changed else ({},):
                name = f"{count} x {device}, {phase}, {' '.join(other) or 'by default'}"
                changes = {**usual, "options": {**options, **other}}
                plan, files = planned(program, source, python, folder / name, target, changes)
                yield name, plan, files


def _framework(program: Program) -> Framework:
    """Return the program's row of the table, in the fork or release that its options name."""
    framework = catalogue.framework(program.line.framework)
    return framework.variants.get(
        dict(program.options).get(framework.variant_option, ""), framework
    )


def _changed(
    program: Program, source: Path, usual: dict[str, Any], target: Target
) -> dict[str, str]:
    """Return another value for every option, but for those that are refused before the start."""
    framework = _framework(program)
    found: dict[str, str] = {}
    for name, option in framework.options.items():
        if not option.values[1:] or name in (*program.unasked, *dict(program.options)):
            continue
        options = {name: next(v for v in reversed(option.values) if v != option.default)}
        whole = {**usual["options"], **options}
        fields = {**usual, "framework": framework.name, "source": source, "options": whole}
        try:
            checks.framework_for(Request.model_validate(fields), target.device)
        except RequestError:
            continue
        found |= options
    return found


def one_run(
    program: Program, model: str, phase: str, source: Path, python: Path, folder: Path
) -> Seen:
    """Plan a run, start its launcher and read its log."""
    run = f"{model} {phase}"
    target = Target(device="gpu", gpus=("0",)) if program.gpu else Target(device="cpu")
    changes = {"model": model, "phase": phase}
    plan, files = planned(program, source, python, folder, target, changes)
    files.launcher.write_text(plan.script)
    try:
        status = start(program, files, {}, STAND_INS if program.gpu else None)
    except subprocess.TimeoutExpired:
        return Seen(program=program, run=run, fault=f"still running after {SECONDS} s")
    found = parse(plan.program, files.log, hints_of(plan), exit_code=status)
    return judged(program, run, found, files.log.read_text(errors="replace"))


def planned(
    program: Program,
    source: Path,
    python: Path,
    folder: Path,
    target: Target,
    changes: dict[str, Any],
) -> tuple[Plan, RunFolder]:
    """Plan a run as `benchdock run` does, for an interpreter in place of an image.

    Raises RequestError.
    """
    request = Request.model_validate(
        {
            "framework": program.line.framework,
            "source": None if program.gflags else source,
            "batch": 2,
            "steps": program.steps,
            **changes,
        }
    )
    row = checks.framework_for(request, target.device)
    files = RunFolder(folder)
    files.make()
    place = Place(runtime="host", reason="a release", python=str(python), code=PROJECT)
    return planner.make_plan(request, row, target, place, files), files


def start(program: Program, files: RunFolder, variables: dict[str, str], first: Path | None) -> int:
    """Run a launcher to its end and return its exit status; Python looks into `first` first."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **variables}
    environment["PATH"] = f"{STAND_INS}:{environment['PATH']}"
    if first is not None:
        environment["PYTHONPATH"] = f"{first}:{STAND_INS}"
    finished = subprocess.run(
        ["bash", str(files.launcher)], env=environment, timeout=SECONDS, check=False
    )
    return finished.returncode


def judged(program: Program, run: str, found: Measurement, log: str) -> Seen:
    """Compare benchdock's figure with the program's own, if it prints one."""
    printed = re.findall(program.own, log) if program.own else []
    own = float(printed[-1]) if printed else None
    if found.failure is not None:
        fault = f"{found.failure.kind}: {found.failure.message}"
        return Seen(program=program, run=run, own=own, fault=fault)
    figure = found.metrics["throughput"].value
    fault = "" if own in (None, figure) else "another figure than the program's"
    return Seen(program=program, run=run, own=own, figure=figure, fault=fault)


def _git(clone: Path, *words: str) -> str:
    return _git_bytes(clone, *words).decode()


def _git_bytes(clone: Path, *words: str) -> bytes:
    done = subprocess.run(["git", "-C", str(clone), *words], capture_output=True, check=False)
    if done.returncode:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise running.NotRunError(f"git {words[0]} in {clone.name}: {last}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
