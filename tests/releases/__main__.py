"""`make releases`: every line of the matrix that has not been run yet; exit status 1 on a fault.

What was seen goes into `proven.json` and docs/releases.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from orchestrator import paths
from orchestrator.vendor_images import proven
from orchestrator.vendor_images.proven import ProvenRelease
from tests.releases import matrix, page, running
from tests.releases.matrix import Line


def main() -> int:
    """Run all lines, or those whose name starts with a word of the command line."""
    parser = argparse.ArgumentParser(prog="make releases")
    parser.add_argument("--page", action="store_true", help="only write the page again")
    parser.add_argument("words", nargs="*", help="how the names of the lines begin")
    asked = parser.parse_args()
    if asked.page:
        page.write(proven.read())
        return 0
    lines = [line for line in matrix.load() if _wanted(line, tuple(asked.words))]
    if not lines:
        names = ", ".join(line.name for line in matrix.load())
        print(f"no line of the matrix starts with {' or '.join(asked.words)}; there are {names}")
        return 2
    folder = paths.home() / "releases"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"records are in {folder}; delete one to run its line again")
    print(page.HEADER)
    records = [_record(line, folder) for line in lines]
    return 1 if any(record is None or record.faults for record in records) else 0


def _wanted(line: Line, words: tuple[str, ...]) -> bool:
    return line.name.startswith(words) if words else not line.skip


def _record(line: Line, folder: Path) -> ProvenRelease | None:
    """Return the record of a line, which is run unless it has one."""
    path = folder / f"{line.name}.json"
    try:
        if not path.exists():
            path.write_text(running.run(line, folder / "wheels").model_dump_json())
            running.trim(folder / "wheels")
    except running.NotRunError as error:
        print(f"{line.name} was not run: {error}", file=sys.stderr)
        return None
    record = ProvenRelease.model_validate_json(path.read_text())
    page.keep(record)
    print(page.row(record), flush=True)
    return record


if __name__ == "__main__":
    sys.exit(main())
