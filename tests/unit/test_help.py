"""`benchdock --help` and the help of each command, as a new user reads them."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.arguments.all import build_parser

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/help.txt"


def helps(monkeypatch):
    """Return the help of benchdock and of each command, by command."""
    monkeypatch.setenv("COLUMNS", "100")
    parser = build_parser()
    actions: list[Any] = parser._actions
    commands = next(action.choices for action in actions if action.dest == "command")
    return {"": parser.format_help(), **{name: one.format_help() for name, one in commands.items()}}


def test_the_help_is_the_golden_one(monkeypatch):
    assert helps(monkeypatch)[""] == GOLDEN.read_text(encoding="utf-8")


def test_each_command_has_a_summary_examples_and_exit_statuses(monkeypatch):
    for name, text in helps(monkeypatch).items():
        assert "examples:\n  benchdock" in text, name
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
