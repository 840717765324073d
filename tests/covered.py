"""`make coverage`: the share of each package that the unit tests run, and whether it is enough.

Exit status 1 if the tests run less than 90 % of the branches of `orchestrator/`, or less than 80 %
of the branches of any one package.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

import coverage

HOST = "orchestrator"
LEAST_OF_THE_HOST = 90
LEAST_OF_A_PACKAGE = 80


@dataclass
class Count:
    """Statements and branches, and how many of them ran."""

    statements: int = 0
    statements_run: int = 0
    branches: int = 0
    branches_run: int = 0

    def add(self, summary: Mapping[str, int]) -> None:
        """Add what coverage.py's JSON report says about a file."""
        self.statements += summary["num_statements"]
        self.statements_run += summary["covered_lines"]
        self.branches += summary["num_branches"]
        self.branches_run += summary["covered_branches"]

    @property
    def branch_share(self) -> float:
        """Per cent of the branches; of the statements if there are no branches."""
        if self.branches:
            return 100 * self.branches_run / self.branches
        return 100 * self.statements_run / (self.statements or 1)

    def row(self, name: str) -> str:
        """Return a line of the table."""
        statements = 100 * self.statements_run / (self.statements or 1)
        return f"{name:28}{self.statements:12}{statements:9.1f} %{self.branches:10}" + (
            f"{self.branch_share:9.1f} %"
        )


def count(files: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dict[str, Count]:
    """Return the counts by package, given coverage.py's JSON report of files."""
    packages: defaultdict[str, Count] = defaultdict(Count)
    for name, file in sorted(files.items()):
        packages[".".join(PurePath(name).parent.parts)].add(file["summary"])
    return dict(packages)


def total(packages: Iterable[Count]) -> Count:
    """Return the sum of some counts."""
    found = Count()
    for one in packages:
        found.statements += one.statements
        found.statements_run += one.statements_run
        found.branches += one.branches
        found.branches_run += one.branches_run
    return found


def table(packages: Mapping[str, Count]) -> list[str]:
    """Return the lines of the table."""
    head = f"{'package':28}{'statements':>12}{'run':>11}{'branches':>10}{'run':>11}"
    return [head, *(one.row(name) for name, one in packages.items())]


def too_low(packages: Mapping[str, Count]) -> list[str]:
    """Return a line for each package whose branch coverage is too low."""
    limits = {**dict.fromkeys(packages, LEAST_OF_A_PACKAGE), f"all of {HOST}": LEAST_OF_THE_HOST}
    everything = {**packages, f"all of {HOST}": total(_of_the_host(packages))}
    return [
        f"{name}: the unit tests run {one.branch_share:.1f} % of the branches, "
        f"fewer than {limits[name]} %"
        for name, one in everything.items()
        if one.branch_share < limits[name]
    ]


def _of_the_host(packages: Mapping[str, Count]) -> list[Count]:
    return [one for name, one in packages.items() if name.split(".")[0] == HOST]


def main() -> int:
    """Print the table of the combined data; return 1 if a package has too little."""
    measured = coverage.Coverage()
    measured.load()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "coverage.json")
        measured.json_report(outfile=str(report))
        files = json.loads(report.read_text())["files"]
    packages = count(files)
    print("\n".join(table(packages)))
    print(total(_of_the_host(packages)).row(f"all of {HOST}"))
    complaints = too_low(packages)
    print("\n".join(complaints), file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
