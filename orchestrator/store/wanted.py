"""Which runs a user wants to see."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Filters of runs; None is any. A run whose value is unknown does not match.

    `since` and `until` are about its start, `until` is excluded.
    """

    model: str | None = None
    framework: str | None = None
    phase: str | None = None
    dtype: str | None = None
    batch: int | None = None
    device: str | None = None
    session: str | None = None
    tag: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    status: str | None = None

    def given(self) -> dict[str, object]:
        """Return the filters that are not None, by name."""
        told = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in told.items() if value is not None}

    def words(self) -> str:
        """Return the filters as they are typed; "" without filters."""
        return " ".join(
            "--failed" if (name, value) == ("status", "failed") else f"--{name} {_typed(value)}"
            for name, value in self.given().items()
        )


def _typed(value: object) -> str:
    return f"{value:%Y-%m-%dT%H:%M}" if isinstance(value, datetime) else str(value)


# The filters that all runs of a series pass, or none.
OF_SERIES = ("model", "framework", "phase", "dtype", "batch", "device")
