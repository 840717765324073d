"""No module and no function grows beyond what somebody reads in one go."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.paths import PROJECT

MODULE_LINES = 350
FUNCTION_LINES = 60
TREES = ("orchestrator", "backends")


def modules() -> dict[str, str]:
    """Source by path."""
    paths = [path for tree in TREES for path in sorted((PROJECT / tree).rglob("*.py"))]
    return {path.relative_to(PROJECT).as_posix(): path.read_text("utf-8") for path in paths}


def excesses(path: str, source: str) -> Iterator[str]:
    """What is longer than it may be, with its length."""
    lines = len(source.splitlines())
    if lines > MODULE_LINES:
        yield f"{path}: {lines} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            length = (node.end_lineno or first) - first + 1
            if length > FUNCTION_LINES:
                yield f"{path}: {node.name} {length} lines"


@pytest.mark.slow
def test_modules_and_functions_are_short() -> None:
    sources = modules()
    assert {Path(path).parts[0] for path in sources} == set(TREES)
    assert [text for path, source in sources.items() for text in excesses(path, source)] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1\n" * MODULE_LINES, []),
        ("x = 1\n" * (MODULE_LINES + 1), [f"m.py: {MODULE_LINES + 1} lines"]),
        ("def f():\n" + "    x = 1\n" * (FUNCTION_LINES - 1), []),
        ("def f():\n" + "    x = 1\n" * FUNCTION_LINES, [f"m.py: f {FUNCTION_LINES + 1} lines"]),
        (
            "class A:\n    @property\n    async def f():\n" + "        x = 1\n" * FUNCTION_LINES,
            [f"m.py: f {FUNCTION_LINES + 2} lines"],
        ),
    ],
)
def test_lengths_are_measured(source: str, expected: list[str]) -> None:
    assert list(excesses("m.py", source)) == expected
