"""Whether a new image made a series slower: old and new image run in turns, on today's machine.

The median of the ratios of ten pairs is right in 99.7 % if the runs of a night differ by 1 %, in
91 % if by 2 %, and in 82 % if by 3 % (simulated); five pairs are right in 97, 83 and 74 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.errors import BenchdockError, ExitStatus
from orchestrator.nightly import causes
from orchestrator.nightly.recording import Judged
from orchestrator.nightly.tonight import Tonight
from orchestrator.nights.past import is_good
from orchestrator.nights.record import NightAttribution
from orchestrator.paths import RunFolder, runs
from orchestrator.record_files import read_file
from orchestrator.request import Request, gpu_choice
from orchestrator.result import Result
from orchestrator.stats import median
from orchestrator.suites import resuming, session
from orchestrator.suites.cells import Cell
from orchestrator.suites.state import Ended, Key
from orchestrator.view import View

PAIRS = 10
FEWEST_PAIRS = 5
_IMAGE = "image"
_OLD, _NEW = " in the old image", " in the new image"


@dataclass(frozen=True)
class _Case:
    """A series whose image changed, what runs it in the old one, and the GPUs that it had."""

    judged: Judged
    before: str
    runner: session.Runner
    gpus: tuple[str, ...]

    @property
    def cells(self) -> tuple[Cell, Cell]:
        """Return the cells of the old and of the new image."""
        cell = self.judged.measured.cell
        origin = replace(cell.origin, group="images in turns")  # not a control any more
        old, new = (
            cell._replace(digest=cell.digest + end, repeat=PAIRS, origin=origin)
            for end in (_OLD, _NEW)
        )
        return old, new


@dataclass
class _InTurns:
    """Runs a request in the image of the cell whose request was made last."""

    request_of: Callable[[Cell], Request]
    usual: session.Runner
    old: dict[str, session.Runner]
    gpus: dict[str, tuple[str, ...]]
    now: str = field(default="")

    def request(self, cell: Cell) -> Request:
        self.now = cell.digest
        request, gpus = self.request_of(cell), self.gpus[cell.digest]
        if not gpus:
            return request
        return request.model_copy(update={"gpus": gpu_choice(",".join(gpus)), "devices": None})

    def __call__(
        self, request: Request, view: View, on_folder: Callable[[RunFolder], None]
    ) -> tuple[Result, ExitStatus]:
        return self.old.get(self.now, self.usual)(request, view, on_folder)


def attributed(tonight: Tonight, judged: Sequence[Judged]) -> list[Judged]:
    """Add to each slower series whose image changed what both images do tonight."""
    cases = [case for one in judged if (case := _case(tonight, one)) is not None]
    if not cases or tonight.ended:
        return list(judged)
    _run(tonight, cases)
    ended = resuming.read(tonight.work.where).ended
    found = {id(case.judged): _result(ended, case) for case in cases}
    return [replace(one, attribution=found.get(id(one))) for one in judged]


def _case(tonight: Tonight, one: Judged) -> _Case | None:
    """Return what there is to find out, None if nothing changed or the old image is gone."""
    if one.judgement.verdict != "regressed" or one.cause == "machine":
        return None
    baseline = tonight.work.past.baseline(one.measured.key)
    if baseline is None:
        return None
    series = baseline[1]
    before, now = series.facts.get(_IMAGE), one.measured.facts.get(_IMAGE)
    good = [run for run in series.runs if is_good(run)]
    if not before or not now or before == now or not good:
        return None
    try:
        result = read_file(Result, RunFolder(runs() / good[-1].result).result)
        runner = tonight.work.in_old_image(result)
    except BenchdockError as error:
        tonight.work.tools.view.note(f"{one.measured.cell.title}: no old image: {error}")
        return None
    gpus = result.plan.gpus if result.plan else ()
    return _Case(one, before, runner, gpus) if runner is not None else None


def _run(tonight: Tonight, cases: Sequence[_Case]) -> None:
    """Run old and new image of each series in turns, as long as the budget lasts."""
    work = tonight.work
    work.tools.view.note(f"{len(cases)} with a new image: running the old one and the new one")
    runner = _InTurns(
        work.job.request_of,
        work.tools.runner,
        {case.cells[0].digest: case.runner for case in cases},
        {cell.digest: case.gpus for case in cases for cell in case.cells},
    )
    tonight.session(
        [cell for case in cases for cell in case.cells],
        resuming.read(work.where),
        tonight.left(),
        job=replace(work.job, request_of=runner.request),
        tools=replace(work.tools, runner=runner, ready=lambda _: None, lanes=None),
    )


def _result(ended: Mapping[Key, Ended], case: _Case) -> NightAttribution | None:
    """Return what the pairs say, None if there are too few of them."""
    old, new = case.cells
    ratios, levels = [], []
    for number in range(1, PAIRS + 1):
        pair = [ended.get((cell.digest, number)) for cell in (old, new)]
        told = [end.throughput for end in pair if end is not None and end.throughput]
        if len(told) == len(pair):
            ratios.append(math.log(told[1] / told[0]))
            levels.append(told[0])
    if len(ratios) < FEWEST_PAIRS:
        return None
    found, judged = median(ratios), case.judged.judgement
    return NightAttribution(
        before=case.before,
        after=case.judged.measured.facts[_IMAGE],
        pairs=len(ratios),
        change=math.expm1(found),
        explained=causes.explains(found, math.log1p(judged.change or 0.0)),
        old=median(levels) / judged.baseline - 1 if judged.baseline else None,
    )
