"""The folders of runs on disk, and whether they changed since they were last looked at."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from orchestrator import paths
from orchestrator.errors import MachineError
from orchestrator.paths import RunFolder

# How Python shows bytes that are not UTF-8.
_STRANGE = re.compile("[\ud800-\udfff]")
# A folder that changed this recently may change again without a new time: file systems count in
# ticks, some in seconds.
_SETTLED_SECONDS = 2.5


# Names with a time are between these until the year 3000.
_STAMPED = ("2", "3")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen of a folder of runs.

    `changed` is its time of change in nanoseconds, 0 if that may be too new to be relied on. `last`
    is the greatest name with a time, `names` a sum over all names.
    """

    changed: int = 0
    last: str = ""
    names: int = 0

    @classmethod
    def of(cls, told: Any) -> Seen:
        """Read it back from the database."""
        return cls(**told) if isinstance(told, dict) else cls()

    @classmethod
    def now(cls, listed: Sequence[str], moment: int) -> Seen:
        """Remember the names that were listed after the time of change `moment`."""
        least, most = _STAMPED
        last = max((name for name in listed if least <= name < most), default="")
        return cls(changed=moment, last=last, names=summed(listed))

    def newer(self, listed: Sequence[str]) -> list[str] | None:
        """Return the names that were added; None if others may have been added or removed."""
        last, most = max(self.last, _STAMPED[0]), _STAMPED[1]
        added = [name for name in listed if last < name < most]
        same = summed(listed) - summed(added) == self.names
        return added if same else None

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def root(*, imported: bool) -> Path:
    """Return the folder of runs."""
    return paths.imported() if imported else paths.runs()


def changed(folder: Path) -> int:
    """Return the time of change of a folder, in nanoseconds; 0 if it is missing or just changed.

    Raises MachineError if it may not be looked at.
    """
    try:
        found = folder.stat().st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError as error:
        raise _cannot_list(folder, error) from None
    return found if time.time() - found / 1e9 > _SETTLED_SECONDS else 0


def names(folder: Path) -> list[str]:
    """Return the names of everything in a folder, except those that no database could keep.

    Raises MachineError if it cannot be listed.
    """
    try:
        listed = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _cannot_list(folder, error) from None
    return [name for name in listed if not _STRANGE.search(name)]


def summed(found: Iterable[str]) -> int:
    """Return a sum that shows whether two sets of names are the same, whatever their order."""
    return sum(map(crc32, map(os.fsencode, found)))


def state(folder: RunFolder) -> str:
    """Return what changes when the folder gets a result, or another one."""
    return " ".join(str(_changed(path)) for path in (folder.root, folder.result))


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _cannot_list(folder: Path, error: OSError) -> MachineError:
    return MachineError(
        f"cannot list the runs in {folder}: {error.strerror or error}",
        hint="set BENCHDOCK_HOME to a readable folder",
    )
