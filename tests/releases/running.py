"""Running a line of the matrix: one virtual environment, parity and jobs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from backends.harness import blas_kernel, machine
from orchestrator.paths import PROJECT
from orchestrator.vendor_images.proven import ProvenRelease
from tests.releases.matrix import Line

TAG = "::benchdock "
JOB = ["--dtype=float32", "--batch=4", "--device=cpu", "--steps=3", "--warmup=1"]
# On a busy machine the threads of OpenBLAS and OpenMP mostly wait for each other: with two of them
# a training step of the referee took five times the CPU time.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
_TOO_OLD = " is too old: use "  # backends.harness.release
# Wheels of PyTorch and NVIDIA's packages are GBs per release.
CACHE_LIMIT = 6_000_000_000


class NotRunError(Exception):
    """A line that could not be run; the text says why."""


def interpreter(version: str) -> Path:
    """Return a CPython of this version from pyenv or $PATH. Raises `NotRunError`."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for found in sorted(root.glob(f"versions/{version}.*/bin/python")):
        return found
    if found_on_path := shutil.which(f"python{version}"):
        return Path(found_on_path)
    raise NotRunError(f"no CPython {version} here: pyenv install {version}")


def run(lines: Sequence[Line], wheels: Path) -> Iterator[tuple[Line, ProvenRelease | NotRunError]]:
    """Try each line in an environment that is deleted afterwards, or say why it was not run.

    The next line is installed meanwhile, because pip mostly waits for the index and the disk.
    """
    if not lines:
        return
    with (
        tempfile.TemporaryDirectory(prefix="benchdock-release-") as folder,
        ThreadPoolExecutor(1) as pool,
    ):

        def install(line: Line) -> Path:
            python = environment(line, Path(folder) / line.name, wheels)
            trim(wheels)
            return python

        installed = pool.submit(install, lines[0])
        for number, line in enumerate(lines, 1):
            ready = installed
            wait([ready])
            if number < len(lines):
                installed = pool.submit(install, lines[number])
            yield line, _tried(line, ready)
            shutil.rmtree(Path(folder) / line.name, ignore_errors=True)


def _tried(line: Line, ready: Future[Path]) -> ProvenRelease | NotRunError:
    try:
        return tried(line, ready.result())
    except NotRunError as error:
        return error


def tried(line: Line, python: Path) -> ProvenRelease:
    """Compare the models of a line and run its jobs with an interpreter that has the framework."""
    who = {"framework": line.framework, "release": line.release, "python": line.python}
    deviations, faults = _parity(python, line)
    jobs = {phase: _job(python, line, phase) for phase in line.phases}
    failed = {phase: why for phase, (why, _) in jobs.items()}
    refusals = set(failed.values())
    if not deviations and len(refusals) == 1 and _TOO_OLD in min(refusals):
        return ProvenRelease(**who, refused=min(refusals))
    faults += [f"{phase}: {why}" for phase, why in failed.items() if why]
    return ProvenRelease(
        **who,
        deviations=deviations,
        jobs=tuple(phase for phase, why in failed.items() if not why),
        options={phase: options for phase, (_, options) in jobs.items() if options},
        faults=tuple(faults),
    )


def environment(line: Line, folder: Path, wheels: Path) -> Path:
    """Make a virtual environment with a line's packages; return its interpreter."""
    if not line.packages:
        return interpreter(line.python)
    # A copy takes a tenth of the time in which `venv` installs pip.
    shutil.copytree(_bare(line.python, wheels), folder, symlinks=True, dirs_exist_ok=True)
    python = folder / "bin" / "python"
    # A few of thousands of modules are imported: to compile them all takes longer than the rest.
    _done([*_install(python, wheels), "--no-compile", *line.packages])
    return python


def _bare(version: str, wheels: Path) -> Path:
    """Return an environment of this CPython that only has pip, made if it is not there yet."""
    folder = wheels.with_name(f"bare-{version}")
    if (folder / "complete").exists():
        return folder
    python = folder / "bin" / "python"
    _done([str(interpreter(version)), "-m", "venv", "--clear", str(folder)])
    if version == "3.6":
        # The pip of CPython 3.6 does not look at which interpreter a wheel needs.
        _done([*_install(python, wheels), "--upgrade", "pip<22"])
    (folder / "complete").touch()
    return folder


def _install(python: Path, wheels: Path) -> list[str]:
    return [str(python), "-m", "pip", "install", "--quiet", "--cache-dir", str(wheels)]


def trim(folder: Path, limit: int = CACHE_LIMIT) -> None:
    """Delete the files of a folder that were written first, until `limit` bytes are left."""
    files = [(path.stat(), path) for path in folder.rglob("*") if path.is_file()]
    total = sum(status.st_size for status, _ in files)
    for status, path in sorted(files, key=lambda file: file[0].st_mtime):
        if total <= limit:
            return
        path.unlink()
        total -= status.st_size


def _done(command: Sequence[str]) -> None:
    finished = subprocess.run(command, check=False, capture_output=True, text=True)
    if finished.returncode:
        last = (finished.stderr.strip().splitlines() or ["no message"])[-1]
        raise NotRunError(f"{' '.join(command[1:4])} failed: {last}")


def _parity(python: Path, line: Line) -> tuple[dict[str, float], list[str]]:
    """Return the deviations by "LEVEL MODEL", and the faults."""
    deviations, faults = {}, []
    levels = [f"--level={level}" for level in line.levels]
    events, last = _events(python, line.framework, "parity", *levels, *line.models)
    for event in _of_kind(events, "parity"):
        what = f"{event['level']} {event['model']}"
        deviations[what] = event["deviation"]
        if not event["holds"]:
            faults.append(f"{what} does not hold: {event['detail']}")
    wanted = {f"{level} {model}" for level in line.levels for model in line.models}
    if missing := wanted - set(deviations):
        why = _complaint(events, last)
        faults.append(f"not compared: {', '.join(sorted(missing))} ({why})")
    return deviations, faults


def _job(python: Path, line: Line, phase: str) -> tuple[str, dict[str, str]]:
    """Run a short benchmark; return why it did not reach its end, or "", and its options."""
    arguments = ["--model", line.models[0], "--phase", phase, *JOB]
    events, last = _events(python, line.framework, *arguments)
    why = "" if any(_of_kind(events, "end")) else _complaint(events, last)
    begin = next(_of_kind(events, "begin"), {})
    return why, {name: str(used) for name, used in begin.get("options", {}).items()}


def _complaint(events: list[dict[str, Any]], last: str) -> str:
    errors = [str(event["message"]) for event in _of_kind(events, "error")]
    return errors[-1] if errors else last


def _of_kind(events: Iterable[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    return (event for event in events if event["event"] == kind)


def _fast_blas() -> dict[str, str]:
    """Return the environment in which old NumPy computes fast.

    Its OpenBLAS does not know CPUs of today: without this NumPy 1.19 and 1.21, and so the referee,
    take four times as long on Zen 3.
    """
    flags = machine.cpu_flags()
    fit = [one for one in blas_kernel.KERNELS if one.level == blas_kernel.AVX2]
    best = next((one.name for one in fit if one.needs <= flags), None)
    return {blas_kernel.VARIABLE: best} if best else {}


def _events(python: Path, framework: str, *arguments: str) -> tuple[list[dict[str, Any]], str]:
    """Run one of our programs; return its events and the last line on its standard error."""
    finished = subprocess.run(
        [str(python), "-m", f"backends.{framework}", *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=os.environ | ONE_THREAD | _fast_blas() | {"PYTHONPATH": str(PROJECT)},
    )
    status = finished.returncode
    end = f"killed by {signal.Signals(-status).name}" if status < 0 else "it said nothing"
    said = finished.stderr.strip().splitlines() or [end]
    return list(tagged(finished.stdout)), said[-1]


def tagged(text: str) -> Iterator[dict[str, Any]]:
    """Yield the events in a program's output."""
    for line in text.splitlines():
        if line.startswith(TAG):
            yield json.loads(line.removeprefix(TAG))
