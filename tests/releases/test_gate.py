"""Old releases that every change must still support, each in a separate virtual environment.

A part of the matrix that takes minutes: parity of the smallest network, and two jobs. `make
releases` runs the whole of it. Needs the interpreters (pyenv) and an index with the old wheels.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import paths
from tests.releases import matrix, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

GATE = (
    "tensorflow-1.15.5-py3.7",
    "tensorflow-2.6.5-py3.8",
    "mxnet-1.2.0-py3.6",
    "pytorch-1.0.1-py3.6",
    "pytorch-1.5.1-py3.7",
    "pytorch-1.13.1-py3.8",
)
# MXNet before 1.5 needs a way around its max pooling (backends.mxnet.build), as GoogLeNet shows.
MODELS = {"mxnet-1.2.0-py3.6": ("deep_mnist", "googlenet")}
LINES = {
    line.name: replace(line, models=MODELS.get(line.name, ("deep_mnist",)))
    for line in matrix.load()
}


@pytest.fixture(scope="module")
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Path]]]:
    """Return the interpreters in the making: wheels are fetched while other releases are tried."""
    folder = tmp_path_factory.mktemp("releases")
    wheels = paths.home() / "releases" / "wheels"
    asked = {item.name.partition("[")[2].rstrip("]") for item in request.session.items}
    with ThreadPoolExecutor(2) as pool:
        yield {
            name: pool.submit(running.environment, LINES[name], folder / name, wheels)
            for name in GATE
            if name in asked
        }


@pytest.mark.parametrize("name", GATE)
def test_the_release_computes_small_networks_and_runs_jobs(
    name: str, installed: dict[str, Future[Path]]
) -> None:
    line = LINES[name]
    try:
        running.interpreter(line.python)
    except running.NotRunError as error:
        pytest.skip(str(error))
    try:
        python = installed[name].result()
    except running.NotRunError as error:
        if os.environ.get("CI"):
            pytest.fail(f"{name} cannot be installed: {error}")
        pytest.skip(f"{name} cannot be installed: {error}")
    found = running.tried(line, python)
    shutil.rmtree(python.parents[1])  # GBs each
    assert not found.faults
    assert set(found.deviations) == {f"{x} {model}" for x in line.levels for model in line.models}
    assert found.jobs == line.phases
