"""`benchdock --help` and the help of each command, as a new user reads them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.arguments.all import build_parser

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/help.txt"


def helps(monkeypatch):
    """Return the help of benchdock and of each command and subcommand, by its words."""
    monkeypatch.setenv("COLUMNS", "100")
    return dict(_helps(build_parser(), ()))


def _helps(parser: Any, words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    yield " ".join(words), parser.format_help()
    for action in parser._actions:
        if action.dest in ("command", "subcommand") and isinstance(action.choices, dict):
            for name, one in action.choices.items():
                yield from _helps(one, (*words, name))


def test_the_help_is_the_golden_one(monkeypatch):
    assert helps(monkeypatch)[""] == GOLDEN.read_text(encoding="utf-8")


def test_each_command_has_a_summary_examples_and_exit_statuses(monkeypatch):
    for name, text in helps(monkeypatch).items():
        assert f"examples:\n  {' '.join(('benchdock', *name.split()))}" in text, name
        assert "exit status: 0" in text or name == "replay", name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("leave --steps away", "remove ..."),
        ("x.pt is no file that runs", "is not a ..."),
        ("runs that failed alone", "only"),
        ("there is no file x", None),
        ("a comment about mending", "fix"),
        ("what was asked for", "the request, what was requested"),
    ],
)
def test_the_lint_finds_dialect(tmp_path, line, instead):
    path = tmp_path / "page.md"
    path.write_text(f"fine\n{line}\n", encoding="utf-8")
    done = subprocess.run(
        [ROOT / ".ci/check-english", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == (instead is not None), done.stdout
    assert not instead or "page.md:2: " in done.stdout
    assert not instead or f"write {instead!r}" in done.stdout
