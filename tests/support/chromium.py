"""A real Chromium, if this machine has one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")


def missing() -> str:
    """Say in one sentence why there is no browser, "" if there is one."""
    if find_spec("playwright") is None:
        return "no browser was started: playwright is not installed (run `make unit`)"
    if not any(map(shutil.which, NAMES)):
        return "no browser was started: this machine has no Chromium (`apt-get install chromium`)"
    return ""


@contextmanager
def browser() -> Iterator[Any]:
    """Start a browser without a network; None if there is none."""
    if missing():
        yield None
        return
    from playwright.sync_api import sync_playwright

    program = next(found for found in map(shutil.which, NAMES) if found)
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root, which containers and CI machines are.
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield started
        finally:
            started.close()
