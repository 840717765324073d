"""Choosing a backend; leaving after tests of old frameworks."""

import os
import sys

import pytest


def pytest_addoption(parser):
    parser.addoption("--backend", metavar="NAME", help="only the tests of this row of the table")


def pytest_collection_modifyitems(config, items):
    """Leave out what every backend must do, for all backends but the chosen one."""
    chosen = config.getoption("backend")

    def is_for(item):
        params = item.callspec.params if hasattr(item, "callspec") else {}
        return chosen in (None, params.get("backend", chosen))

    config.hook.pytest_deselected(items=[item for item in items if not is_for(item)])
    items[:] = [item for item in items if is_for(item)]


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session, exitstatus):
    session.config.left_with = int(exitstatus)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """Debian's PyTorch 1.7 aborts while a process ends that has computed a gradient."""
    if "caffe2" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(getattr(config, "left_with", 1))
