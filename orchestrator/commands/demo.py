"""`benchdock demo` without a subcommand: say which there are."""

from __future__ import annotations

import argparse

from orchestrator.errors import ExitStatus, RequestError


def execute(_: argparse.Namespace) -> ExitStatus:
    """Raise RequestError."""
    raise RequestError("`benchdock demo` needs a subcommand", hint="run `benchdock demo nights`")
