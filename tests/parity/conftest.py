"""Leaving after tests of old frameworks."""

import os
import sys

import pytest


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
