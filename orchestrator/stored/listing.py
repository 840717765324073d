"""Lists stored runs, the newest first, and reads no more of them than are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from orchestrator.errors import MachineError
from orchestrator.paths import RunFolder, runs
from orchestrator.records import may_exist
from orchestrator.stored.lookup import all_runs
from orchestrator.stored.summary import Summary, summarize


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which runs are wanted; None is any. What is not known of a run is not what is wanted."""

    model: str | None = None
    framework: str | None = None
    phase: str | None = None
    dtype: str | None = None
    failed: bool = False

    def fits(self, row: Summary) -> bool:
        """Whether a run is wanted."""
        wanted = (self.model, self.framework, self.phase, self.dtype)
        told = (row.model, row.framework, row.phase, row.dtype)
        same = all(want in (None, value) for want, value in zip(wanted, told, strict=True))
        return same and (row.status == "failed" or not self.failed)

    def words(self) -> str:
        """Return what was asked for, as it is typed; "" where any run is wanted."""
        named = (
            ("--model", self.model),
            ("--framework", self.framework),
            ("--phase", self.phase),
            ("--dtype", self.dtype),
        )
        given = [f"{option} {value}" for option, value in named if value is not None]
        return " ".join((*given, *(["--failed"] if self.failed else [])))


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The runs that were wanted, newest first.

    `older` is how many runs were not looked at, since enough were found; `models` are the networks
    of those that were. `empty` tells that no run is stored at all.
    """

    rows: tuple[Summary, ...]
    older: int
    empty: bool
    models: frozenset[str]


def find(wanted: Wanted, most: int | None) -> Listing:
    """Read runs until `most` are found, all where it is None.

    Raises MachineError where the folder of runs cannot be listed.
    """
    folders = _newest_first()
    rows: list[Summary] = []
    models, older = set(), len(folders)
    for folder in folders:
        row = summarize(folder)
        older -= 1
        models.add(row.model)
        if wanted.fits(row):
            rows.append(row)
            if len(rows) == most:
                break
    return Listing(
        rows=tuple(rows),
        older=older,
        empty=not folders,
        models=frozenset(model for model in models if model is not None),
    )


def _newest_first() -> list[RunFolder]:
    """Return the runs, those whose name tells no time last."""
    try:
        folders = list(_runs())
    except OSError as error:
        raise MachineError(
            f"the runs in {runs()} cannot be listed: {error.strerror or error}",
            hint="set BENCHDOCK_HOME to a folder that can be read",
        ) from None
    return sorted(folders, key=lambda run: (run.made is not None, run.run_id), reverse=True)


def _runs() -> Iterator[RunFolder]:
    """Yield the folders of runs: those of a parity hold neither result nor request."""
    for path in all_runs():
        folder = RunFolder(path)
        if may_exist(folder.result) or may_exist(folder.request):
            yield folder
