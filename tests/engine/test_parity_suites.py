"""The tests of the backends, `tests/parity`, run where their frameworks are: in the images."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest

from orchestrator.paths import PROJECT
from tests.engine import in_image
from tests.parity.table import ROWS

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]

CONFORMANCE = "test_conformance.py"
# Rows whose image has an older Python than the others.
OLD = {"tensorflow1": "3.7"}


def install(folder, lock, python):
    """Install pytest, which the images do not have, for a Python and those after it."""
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder),
            "--require-hashes", "--no-deps", "--only-binary=:all:", f"--python-version={python}",
            "--implementation=py", "--abi=none", "--platform=any",
            "--requirement", str(Path(__file__).with_name(lock)),
        ],
        check=True,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    return install(tmp_path_factory.mktemp("pytest"), "in-image.lock", "3.9")


@pytest.fixture(scope="module")
def running(request, engine, runner):
    """Run the chosen suites side by side, each on one CPU, as the referee mostly uses only one."""
    names = [
        item.callspec.params["name"]
        for item in request.session.items
        if getattr(item, "originalname", "") == "test_it_passes_where_its_framework_is"
    ]
    images = {name: in_image.ready(engine, ROWS[name].image) for name in names}
    free: SimpleQueue[int] = SimpleQueue()
    for cpu in sorted(os.sched_getaffinity(0)):
        free.put(cpu)

    def suite(name):
        cpu = free.get()
        try:
            return run_suite(images[name], runner, name, cpus=[cpu])
        finally:
            free.put(cpu)

    with ThreadPoolExecutor(free.qsize()) as pool:
        yield {name: pool.submit(suite, name) for name in names}
        pool.shutdown(cancel_futures=True)


def run_suite(image, runner, name, *words, cpus=None):
    files = [f"tests/parity/{file}" for file in (CONFORMANCE, *ROWS[name].own)]
    return in_image.run_module(
        image,
        *("pytest", "--confcutdir=tests/parity", "-p", "no:cacheprovider", f"--backend={name}"),
        *("-m", "not slow"),
        *(*words, *files),
        mounts=[f"{runner}:/pytest"],
        cpus=cpus,
    )


def check(done):
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout.splitlines()[-1], done.stdout


def test_no_suite_is_forgotten():
    here = {path.name for path in (PROJECT / "tests" / "parity").glob("test_*.py")}
    assert here == {CONFORMANCE}.union(*(row.own for row in ROWS.values()))


@pytest.mark.parametrize("name", [name for name in ROWS if name not in OLD])
def test_it_passes_where_its_framework_is(running, name):
    check(running[name].result())


@pytest.mark.parametrize("name", OLD)
def test_it_passes_on_an_old_release(engine, tmp_path, name):
    image = in_image.ready(engine, ROWS[name].image)
    runner = install(tmp_path / "pytest", f"in-image-{OLD[name]}.lock", OLD[name])
    # What its own libraries warn of on an old Python is not ours.
    check(run_suite(image, runner, name, "-W", "default"))
