"""A suite file made from a configuration of DLBS is one that benchdock reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.paths import PROJECT
from orchestrator.suites import expansion, loading

GOLDEN = sorted((PROJECT / "tests/golden/dlbs").glob("*.yaml"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_an_imported_suite_has_runs(path: Path) -> None:
    assert expansion.expand(loading.load(path)).cells
