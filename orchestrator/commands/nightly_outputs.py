"""What `benchdock nightly run` writes and sends after a night."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import BenchdockError
from orchestrator.nightly import webhook
from orchestrator.nights import junit, prometheus, telling
from orchestrator.nights.record import Night
from orchestrator.paths import write_aside
from orchestrator.ui.text import clean

FILES: dict[str, Callable[[Night], str]] = {"junit": junit.text, "prometheus": prometheus.text}


def check(arguments: argparse.Namespace) -> None:
    """Find out before the night whether it can be sent afterwards. Raises RequestError."""
    webhook.url(_file(arguments))


def write(night: Night, arguments: argparse.Namespace) -> bool:
    """Write the requested files; print one line per failure. Whether all are written."""
    failed = [
        f"cannot write {path}: {why}"
        for name, text in FILES.items()
        if (path := getattr(arguments, name)) and (why := _written(Path(path), text(night)))
    ]
    if arguments.report and (why := _reported(night, Path(arguments.report))):
        failed.append(f"there is no report: {why}")
    for line in failed:
        print(clean(f"benchdock: {line}"), file=sys.stderr)
    return not failed


def send(night: Night, arguments: argparse.Namespace) -> None:
    """Tell the webhook about a night that somebody must know of."""
    to = webhook.url(_file(arguments))
    if to is None or (telling.is_quiet(night) and not arguments.always):
        return
    if (why := webhook.send(night, to, arguments.webhook_kind)) is not None:
        print(clean(f"benchdock: {why}"), file=sys.stderr)


def _reported(night: Night, folder: Path) -> str:
    """Make the pages; return why that failed, or ""."""
    from orchestrator.report import writing

    try:
        # cron would send a mail with anything that is printed after each night.
        writing.site_of_newest(night.suite, folder, lambda _: None)
    except BenchdockError as error:
        return str(error)
    return ""


def _file(arguments: argparse.Namespace) -> Path | None:
    return Path(arguments.webhook_file) if arguments.webhook_file else None


def _written(path: Path, text: str) -> str:
    """Write a file, readable for the program that collects it; return why that failed, or ""."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, text)
        os.chmod(path, 0o644)
    except OSError as error:
        return error.strerror or str(error)
    return ""
