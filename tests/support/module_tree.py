"""The tree of `orchestrator/` in docs/architecture.md: each module with what it says of itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

WIDTH = 29


def tree(root: Path) -> str:
    """Draw a package two levels deep: packages first, a line for each module."""
    return "\n".join([f"{root.name}/", *_lines(root, "  ", levels=2)])


def _lines(package: Path, indent: str, *, levels: int) -> Iterator[str]:
    folders = sorted(path.parent for path in package.glob("*/__init__.py"))
    for folder in folders:
        yield _line(f"{indent}{folder.name}/", folder / "__init__.py")
        if levels > 1:
            yield from _lines(folder, indent + "  ", levels=levels - 1)
    for module in sorted(package.glob("*.py")):
        if module.name != "__init__.py":
            yield _line(f"{indent}{module.name}", module)


def _line(name: str, module: Path) -> str:
    said = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    first = said.partition("\n\n")[0].replace("\n", " ")
    return f"{name:<{WIDTH}}{first}".rstrip()
