"""What the command line says about GPUs in use: --wait and --allow-shared."""

from __future__ import annotations

import argparse

from orchestrator.run.sharing import Sharing


def chosen(arguments: argparse.Namespace, *, least: float = 0.0) -> Sharing:
    """Return it; `least` are seconds for which a command waits anyway."""
    return Sharing(wait=max(arguments.wait, least), allowed=arguments.allow_shared)
