"""Lists stored runs, newest first, and reads only as many as are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from orchestrator.errors import MachineError
from orchestrator.paths import RunFolder, runs
from orchestrator.records import may_exist
from orchestrator.results.lookup import all_runs
from orchestrator.results.summary import Summary, summarize


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which runs to list; None is any. A run whose value is unknown does not match."""

    model: str | None = None
    framework: str | None = None
    phase: str | None = None
    dtype: str | None = None
    batch: int | None = None
    device: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def fits(self, row: Summary) -> bool:
        """Whether a run matches."""
        return (
            all(
                want in (None, getattr(row, name))
                for name, want in vars(self).items()
                if name not in ("since", "until")
            )
            and (self.since is None or (row.started is not None and row.started >= self.since))
            and (self.until is None or (row.started is not None and row.started < self.until))
        )

    def words(self) -> str:
        """Return the filters as they are typed; "" without filters."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return " ".join(
            "--failed" if (name, value) == ("status", "failed") else f"--{name} {_typed(value)}"
            for name, value in given.items()
        )


def _typed(value: object) -> str:
    return f"{value:%Y-%m-%dT%H:%M}" if isinstance(value, datetime) else str(value)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The matching runs, newest first.

    `older` is the number of runs that were not read because enough were found; `models` are the
    networks of those that were. `empty` says that no run is stored at all.
    """

    rows: tuple[Summary, ...]
    older: int
    empty: bool
    models: frozenset[str]


def find(wanted: Wanted, most: int | None) -> Listing:
    """Read runs until `most` are found; None means all.

    Raises MachineError if the folder of runs cannot be listed.
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
    """Return the runs; those without a time in the name come last."""
    try:
        folders = list(_runs())
    except OSError as error:
        raise MachineError(
            f"cannot list the runs in {runs()}: {error.strerror or error}",
            hint="set BENCHDOCK_HOME to a readable folder",
        ) from None
    return sorted(folders, key=lambda run: (run.made is not None, run.run_id), reverse=True)


def _runs() -> Iterator[RunFolder]:
    """Yield the folders of runs; those of `parity` have neither result nor request."""
    for path in all_runs():
        folder = RunFolder(path)
        if may_exist(folder.result) or may_exist(folder.request):
            yield folder
