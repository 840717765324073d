"""Logs whose figure is of a part of what it seems to be of, by tests/logs/index.toml."""

import tomllib
from pathlib import Path

import pytest

from orchestrator.parsers import ParseHints, parse

LOGS = Path(__file__).parents[1] / "logs"
INDEX = tomllib.loads((LOGS / "index.toml").read_text())


@pytest.mark.parametrize("name", INDEX)
def test_a_log_gives_its_figure_its_scope_and_its_doubt(name):
    row = INDEX[name]
    found = parse(row["program"], LOGS / f"{name}.txt", ParseHints(**row.get("hints", {})))
    if "failure" in row:
        assert found.failure is not None
        assert row["failure"] in found.failure.message
        assert "throughput" not in found.metrics
        return
    assert found.failure is None
    assert found.metrics["throughput"].value == pytest.approx(row["throughput"], rel=1e-3)
    assert found.begin["scope"] == row["scope"]
    assert row.get("warning", "") in "\n".join(found.warnings)
    lines = (LOGS / f"{name}.txt").read_text().splitlines()
    assert found.begin["evidence"]
    for number, text in found.begin["evidence"]:
        assert lines[number - 1].endswith(text.lstrip()[-20:]) or "\t" in lines[number - 1]


def test_every_log_is_in_the_index():
    assert {path.stem for path in LOGS.glob("*.txt")} == set(INDEX)
