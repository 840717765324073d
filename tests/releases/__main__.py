"""`make releases`: every line of the matrix that has not been run yet; exit status 1 on a fault."""

from __future__ import annotations

import sys

from orchestrator import paths
from tests.releases import matrix


def main() -> int:
    """Run all lines, or those whose name starts with a word of the command line."""
    words = tuple(sys.argv[1:])
    lines = [line for line in matrix.load() if not words or line.name.startswith(words)]
    if not lines:
        names = ", ".join(line.name for line in matrix.load())
        print(f"no line of the matrix starts with {' or '.join(words)}; there are {names}")
        return 2
    folder = paths.home() / "releases"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"records are in {folder}; delete one to run its line again")
    print(matrix.HEADER)
    faults = 0
    for line in lines:
        path = folder / f"{line.name}.json"
        try:
            if not path.exists():
                matrix.save(matrix.run(line, folder / "wheels"), path)
        except matrix.NotRunError as error:
            print(f"{line.name} was not run: {error}", file=sys.stderr)
            faults += 1
            continue
        record = matrix.saved(path)
        faults += bool(record.faults)
        print(record.row(), flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
