"""Proves that frameworks read the same labels and pixels, by running their readers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.data import checking, reference, wanted
from orchestrator.data.manifest import Format
from orchestrator.data.reference import Digests
from orchestrator.errors import DataError, RequestError
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import Framework
from orchestrator.parity.comparisons import Setting
from orchestrator.parsers.reading import ReadCell
from orchestrator.run import planner
from orchestrator.run.checks import check_dataset
from orchestrator.run.decision import decide
from orchestrator.run.facts import ThisMachine
from orchestrator.run.filing import new_folder, write_launcher
from orchestrator.run.launcher import LauncherContext
from orchestrator.run.places import ready_place
from orchestrator.run.runner import StageClock, execute
from orchestrator.view import View

MODEL = "resnet50"
SAMPLES = 200  # `PROVEN` of backends.harness.images


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A framework, and a dataset in a format of its own."""

    framework: Framework
    folder: Path
    kind: Format


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What to read; `missing` are frameworks without a dataset, with the format they read."""

    model: str
    side: int
    readings: tuple[Reading, ...]
    missing: tuple[tuple[str, Format], ...]


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a framework read, None if it could not, and why; `expected` is what Pillow reads."""

    reading: Reading
    expected: Digests
    cell: ReadCell | None = None
    why: str = ""
    signal_number: int | None = None

    @property
    def holds(self) -> bool:
        """Whether it read what Pillow reads."""
        found, expected = self.cell, self.expected
        return found is not None and (found.samples, found.labels, found.pixels) == (
            expected.samples,
            expected.labels,
            expected.pixels,
        )


@dataclass(frozen=True, kw_only=True)
class ReadingContext(LauncherContext):
    """The values that the launcher of readers may write."""

    backend: str


def choose(names: Sequence[str], models: Sequence[str], folders: Sequence[Path]) -> Chosen:
    """Return what to read. Raises RequestError, DataError."""
    if len(models) > 1:
        raise RequestError("parity --data reads for one network", hint="name one MODEL")
    needs = wanted.named(models[0] if models else MODEL, None)
    side = needs.side
    if side is None or needs.shape is None or needs.shape[0] != 3:
        raise RequestError(f"{needs.model} does not take images in colour", hint=f"use {MODEL}")
    by_format = {kind: folder for folder, kind in _formats(folders)}
    readings, missing = [], []
    for name in names or _with_image():
        framework = catalogue.framework(name)
        decoded = wanted.decoded_by(framework.name)
        if not decoded:
            raise RequestError(
                f"{framework.name} does not decode images",
                hint=f"use one of {', '.join(wanted.NATIVE)}",
            )
        found = [
            Reading(framework=framework, folder=by_format[kind], kind=kind)
            for kind in decoded
            if kind in by_format
        ]
        readings += found
        if not found:
            missing.append((framework.name, decoded[0]))
    if not readings:
        raise DataError(
            f"no framework reads {' or '.join(map(str, folders))}", hint=conversion(missing[0][1])
        )
    return Chosen(model=needs.model, side=side, readings=tuple(readings), missing=tuple(missing))


def _with_image() -> list[str]:
    """Return the frameworks that decode images and have one of our images for the CPU."""
    return [name for name in wanted.NATIVE if "cpu" in catalogue.framework(name).images]


def _formats(folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    for folder in folders:
        check_dataset(folder)
        kind = checking.format_of(folder)
        if kind is None:
            raise DataError(f"{folder} is not a dataset that benchdock knows")
        yield folder, kind


def conversion(native: str) -> str:
    """Return the hint by which a dataset in a format is made."""
    if native == "images":
        return "add --data IMAGES, the folder of images"
    return f"run `benchdock data convert IMAGES NEW --to {native}` and add --data NEW"


def expected(chosen: Chosen) -> dict[Path, Digests]:
    """Return what Pillow reads in each dataset. Raises DataError, MachineError."""
    return {
        folder: reference.digests(folder, kind, chosen.side, SAMPLES)
        for folder, kind in {one.folder: one.kind for one in chosen.readings}.items()
    }


def read(reading: Reading, model: str, expected_: Digests, setting: Setting, view: View) -> Row:
    """Let a framework read. Raises what `decide` and `execute` raise if it cannot be started."""
    framework = reading.framework
    request = setting.request(model, framework, "inference", data=reading.folder)
    decision = decide(request, ThisMachine()).accepted()
    folder, clock = new_folder("reading", framework.name), StageClock(view)
    place, where = ready_place(decision, view)
    plan = planner.plan_program(
        decision.request, decision.framework, decision.target, place, folder,
        program="reading", context=ReadingContext, backend=framework.backend,
    )  # fmt: skip
    write_launcher(folder, plan)
    outcome = execute(plan, where, folder, view, clock)
    cells = [ReadCell.model_validate(cell) for cell in outcome.measurement.begin.cells or ()]
    told = outcome.failure.message if outcome.failure else "the program printed no digest"
    return Row(
        reading=reading,
        expected=expected_,
        cell=cells[0] if cells else None,
        why="" if cells else f"{told}; see {folder.log}",
        signal_number=outcome.signal_number,
    )
