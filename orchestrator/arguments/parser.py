"""argparse as benchdock speaks it: one line for a mistake, suggestions, words in any order."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any, NoReturn

from orchestrator.errors import RequestError, quoted, unknown


class Parser(argparse.ArgumentParser):
    """argparse with our errors: one line of text, and a suggestion for a mistyped word."""

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong as a RequestError."""
        raise RequestError(message, hint=f"see `{self.prog} --help`")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise unknown(
                str(action.metavar or action.dest).lower(), str(value), map(str, action.choices)
            )

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        # argparse would drop the word and hand on a list without it.
        if action.option_strings and arg_strings == ["--"] and action.nargs is None:
            self.error(f"{action.option_strings[-1]}: '--' is not a value")
        return super()._get_values(action, arg_strings)

    def refuse_unknown_options(self, words: Iterable[str]) -> None:
        """Raise RequestError for an option that is mistyped, before anything is found missing."""
        known = self._option_string_actions
        for word in words:
            name = word.partition("=")[0]
            if name == "--":
                return
            if name.startswith("--") and not any(option.startswith(name) for option in known):
                listing = f"{self.prog} --help"
                raise unknown("option", name, known, listing=listing)


class Command(Parser):
    """The parser of one command: names and options in any order."""

    _mixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse a command's words. Raises RequestError for one too many."""
        if self._mixing:
            return super().parse_known_args(args, namespace)
        self.refuse_unknown_options(args)
        # Behind a "--" there are names alone, which argparse forgets where it mixes.
        self._mixing = "--" not in args
        try:
            parse = self.parse_known_intermixed_args if self._mixing else super().parse_known_args
            found, left = parse(args, namespace)
        finally:
            self._mixing = False
        if left:
            self.error(f"{quoted(left[0])} is one word too many")
        return found, left


class Collect(argparse.Action):
    """Collects KEY=VALUE in a dictionary; a key that is given twice is a mistake."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        _word: str | None = None,
    ) -> None:
        """Add one."""
        key, text = values
        given = getattr(namespace, self.dest)
        if key in given:
            raise argparse.ArgumentError(self, f"{quoted(key)} is given twice")
        setattr(namespace, self.dest, {**given, key: text})


class Once(argparse.Action):
    """Stores a value where a second one, which other commands take, would replace it unseen."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        _word: str | None = None,
    ) -> None:
        """Store it."""
        before = getattr(namespace, self.dest)
        if before is not None:
            raise argparse.ArgumentError(self, f"{quoted(before)} is given already; one at a time")
        setattr(namespace, self.dest, values)


def command(
    commands: Any, name: str, summary: str, *examples: str, status: str = "0 done"
) -> Command:
    """Add a command's parser: what it does, examples, and what its exit status says."""
    epilog = "\n".join(("examples:", *(f"  benchdock {line}" for line in examples)))
    epilog += f"\nexit status: {status}; all of them: benchdock --help"
    parser: Command = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser
