"""benchdock's argparse: one-line errors, suggestions, and names and options in any order."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable
from typing import Any, NoReturn

from orchestrator.errors import RequestError, quoted, unknown


class Parser(argparse.ArgumentParser):
    """An argparse parser that reports a mistake in one line and suggests a correction."""

    def error(self, message: str) -> NoReturn:
        """Raise the mistake as a RequestError."""
        raise RequestError(message, hint=f"see `{self.prog} --help`")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise unknown(
                str(action.metavar or action.dest).lower(), str(value), map(str, action.choices)
            )

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        # argparse would drop the word and return a list without it.
        if action.option_strings and arg_strings == ["--"] and action.nargs is None:
            self.error(f"{action.option_strings[-1]}: '--' is not a value")
        return super()._get_values(action, arg_strings)

    def refuse_unknown_options(self, words: Iterable[str]) -> None:
        """Raise RequestError for a mistyped option before reporting missing arguments."""
        known = self._option_string_actions
        for word in words:
            name = word.partition("=")[0]
            if name == "--":
                return
            if name.startswith("--") and not any(option.startswith(name) for option in known):
                listing = f"{self.prog} --help"
                raise unknown("option", name, known, listing=listing)


class Command(Parser):
    """The parser of one command: names and options in any order, or subcommands.

    A command that has subcommands can also be used with only its own options.
    """

    _mixing = False
    _group: argparse._SubParsersAction[Command] | None = None

    def subcommands(self) -> argparse._SubParsersAction[Command]:
        """Return what `command` adds this command's subcommands to."""
        self._group = self.add_subparsers(
            title="subcommands", dest="subcommand", metavar="SUBCOMMAND", parser_class=Command
        )
        return self._group

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse a command's words. Raises RequestError for unexpected ones."""
        if self._mixing or (self._group and args and not args[0].startswith("-")):
            return super().parse_known_args(args, namespace)
        choices = self._group.choices if self._group else ()
        self.refuse_unknown_options(itertools.takewhile(lambda word: word not in choices, args))
        # After "--" there are only names; argparse forgets this when it mixes names and options.
        self._mixing = "--" not in args and not self._group
        try:
            parse = self.parse_known_intermixed_args if self._mixing else super().parse_known_args
            found, left = parse(args, namespace)
        finally:
            self._mixing = False
        if left:
            self.error(f"unexpected argument {quoted(left[0])}")
        if self._group and found.subcommand is not None:
            own = f"{self.prog} {found.subcommand}"
            raise RequestError(
                f"the options of `{own}` come after its name", hint=f"see `{own} -h`"
            )
        return found, left


class Listed(Command):
    """A command that is only listed: of its arguments, `benchdock --help` shows none."""

    def add_argument(self, *_: Any, **__: Any) -> Any:
        """Leave an argument out."""

    def add_argument_group(self, *_: Any, **__: Any) -> Any:
        """Return this instead of a group."""
        return self

    def add_mutually_exclusive_group(self, **_: Any) -> Any:
        """Return this instead of a group."""
        return self

    def subcommands(self) -> Any:
        """Return this, which lists no subcommands."""
        return self

    def add_parser(self, *_: Any, **__: Any) -> Any:
        """Return this instead of the parser of a subcommand."""
        return self


class Collect(argparse.Action):
    """Collect KEY=VALUE in a dictionary; a repeated key is an error."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        _word: str | None = None,
    ) -> None:
        """Add one pair."""
        key, text = values
        given = getattr(namespace, self.dest)
        if key in given:
            raise argparse.ArgumentError(self, f"{quoted(key)} is given twice")
        setattr(namespace, self.dest, {**given, key: text})


class OneOption(Collect):
    """Collect the value of one KEY, which has an option of its own, beside those of --option."""

    def __init__(self, *, key: str, **settings: Any) -> None:
        """`key` is what --option calls it."""
        super().__init__(**{**settings, "default": argparse.SUPPRESS})
        self._key = key

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        word: str | None = None,
    ) -> None:
        """Add the pair."""
        super().__call__(parser, namespace, (self._key, values), word)


class Once(argparse.Action):
    """Store one value; refuse a second one instead of silently replacing the first."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        _word: str | None = None,
    ) -> None:
        """Store the value."""
        before = getattr(namespace, self.dest)
        if before is not None:
            raise argparse.ArgumentError(
                self, f"{quoted(before)} was given already; only one is allowed"
            )
        setattr(namespace, self.dest, values)


def command(
    commands: Any, name: str, summary: str, *examples: str, status: str = "0 success"
) -> Command:
    """Add a command's parser with its summary, examples and exit statuses."""
    epilog = "\n".join(("examples:", *(f"  benchdock {line}" for line in examples)))
    epilog += f"\nexit status: {status}\n`benchdock --help` lists all exit statuses"
    parser: Command = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser
