"""`make releases`: every line of the matrix that has not been run yet; exit status 1 on a fault.

What was seen goes into `proven.json` and docs/releases.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator import paths
from orchestrator.vendor_images import proven
from orchestrator.vendor_images.proven import ProvenRelease
from tests.releases import matrix, page, running
from tests.releases.matrix import Line


def main() -> int:
    """Run all lines, or those whose name starts with a word, in the order of the words."""
    parser = argparse.ArgumentParser(prog="make releases")
    parser.add_argument("--page", action="store_true", help="only write the page again")
    parser.add_argument("words", nargs="*", help="how the names of the lines begin")
    asked = parser.parse_args()
    if asked.page:
        page.write(proven.read())
        return 0
    lines = _wanted(matrix.load(), asked.words)
    if not lines:
        names = ", ".join(line.name for line in matrix.load())
        print(f"no line of the matrix starts with {' or '.join(asked.words)}; there are {names}")
        return 2
    folder = paths.home() / "releases"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"records are in {folder}; delete one to run its line again")
    print(page.HEADER)
    return 0 if _run(lines, folder) else 1


def _wanted(lines: Sequence[Line], words: Sequence[str]) -> list[Line]:
    """Return the lines whose name starts with a word, in the order of the words."""
    if not words:
        return [line for line in lines if not line.skip]
    named = [line for word in words for line in lines if line.name.startswith(word)]
    return list(dict.fromkeys(named))


def _run(lines: Sequence[Line], folder: Path) -> bool:
    """Run the lines that have no record, and show all; return whether none has a fault."""
    left, sound = [], True
    for line in lines:
        path = folder / f"{line.name}.json"
        if path.exists():
            sound &= _show(ProvenRelease.model_validate_json(path.read_text()))
        else:
            left.append(line)
    for line, found in running.run(left, folder / "wheels"):
        if isinstance(found, running.NotRunError):
            print(f"{line.name} was not run: {found}", file=sys.stderr)
            sound = False
            continue
        (folder / f"{line.name}.json").write_text(found.model_dump_json())
        sound &= _show(found)
    return sound


def _show(record: ProvenRelease) -> bool:
    """Put a record into the page and print it; return whether it has no fault."""
    page.keep(record)
    print(page.row(record), flush=True)
    return not record.faults


if __name__ == "__main__":
    sys.exit(main())
