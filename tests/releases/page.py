"""The page docs/releases.md, from the matrix and its outcomes."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.paths import PROJECT
from orchestrator.vendor_images import proven
from orchestrator.vendor_images.proven import ProvenRelease
from tests.releases import matrix
from tests.releases.matrix import MODELS, Line

PAGE = PROJECT / "docs" / "releases.md"
BEGIN = "<!-- written by make releases -->\n"
END = "<!-- end -->\n"
COLUMNS = [f"{model} {level}" for model in MODELS for level in ("P2", "P3")]
HEADER = "\n".join(
    (
        f"| framework | release | Python | {' | '.join(COLUMNS)} | jobs | |",
        "|" + "---|" * (5 + len(COLUMNS)),
    )
)


def row(record: ProvenRelease) -> str:
    """Return a record as a row of Markdown."""
    cells = [record.framework, record.release, record.python]
    for model in MODELS:
        pair = (record.deviations.get(f"{level} {model}") for level in ("P2", "P3"))
        cells += ["-" if found is None else f"{found:.1e}" for found in pair]
    cells.append(", ".join(record.jobs) or "-")
    cells.append(record.refused or "; ".join(record.faults) or "holds")
    return f"| {' | '.join(cells)} |"


def seen(lines: Sequence[Line], records: Sequence[ProvenRelease]) -> str:
    """Return the part of the page that is generated: what was run, and what was not."""
    known = {(record.framework, record.release, record.python) for record in records}
    left = [line for line in lines if (line.framework, line.release, line.python) not in known]
    rows = "\n".join(row(record) for record in records)
    return f"{HEADER}\n{rows}\n\n{_not_run(left)}\n"


def _not_run(lines: Sequence[Line]) -> str:
    if not lines:
        return "Every line of the matrix was run."
    frameworks = dict.fromkeys(line.framework for line in lines)
    rows = [
        f"- {name}: " + ", ".join(_named(line) for line in lines if line.framework == name)
        for name in frameworks
    ]
    return "\n".join(["Not run yet:", "", *rows])


def _named(line: Line) -> str:
    return f"{line.release} ({line.skip})" if line.skip else line.release


def page(text: str, lines: Sequence[Line], records: Sequence[ProvenRelease]) -> str:
    """Return a page with its generated part written again."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{seen(lines, records)}\n{END}{after}"


def write(records: Sequence[ProvenRelease]) -> None:
    """Write the generated part of docs/releases.md."""
    text = page(PAGE.read_text(encoding="utf-8"), matrix.load(), records)
    PAGE.write_text(text, encoding="utf-8")


def keep(record: ProvenRelease) -> None:
    """Put a record into proven.json, in the order of the matrix, and write the page."""
    known = {(old.framework, old.release, old.python): old for old in proven.read()}
    known[record.framework, record.release, record.python] = record
    order = [(line.framework, line.release, line.python) for line in matrix.load()]
    records = [known[key] for key in order if key in known]
    proven.FILE.write_text(proven.text(records), encoding="utf-8")
    write(records)
