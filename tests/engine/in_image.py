"""Running a module of this project inside an image, with the checkout mounted over it."""

import os
import subprocess

import pytest

from orchestrator.images import image_table, store
from orchestrator.images.interpreters import NoInterpreterError
from orchestrator.paths import PROJECT


def _say(event):
    print(event.text, flush=True)


def ready(engine, name):
    """Return the reference of one of our images, built if it is not here.

    Skips the test if this machine lacks the interpreter that the image is made with.
    """
    table = image_table.load()
    try:
        return store.ensure(table.image(name), table, engine, store.Policy.AUTO, _say).reference
    except NoInterpreterError as error:
        pytest.skip(f"{name} cannot be built here: {error.what}")


def run_module(reference, *words, project=PROJECT, mounts=(), cpus=None):
    """Run `python3 -m WORDS` of a project in a container; return the finished process.

    `mounts` are "FOLDER:PLACE" of what Python shall find too, `cpus` those to use, by default all
    of this process.
    """
    cpus = sorted(os.sched_getaffinity(0)) if cpus is None else cpus
    paths = ":".join([*(mount.split(":")[1] for mount in mounts), "/project"])
    return subprocess.run(
        [
            "docker", "run", "--rm", "--init", "--network=none", "--tmpfs=/tmp",
            f"--volume={project}:/project:ro", *(f"--volume={mount}:ro" for mount in mounts),
            "--workdir=/project", f"--env=OMP_NUM_THREADS={len(cpus)}",
            f"--cpuset-cpus={','.join(map(str, cpus))}",
            "--env=PYTHONDONTWRITEBYTECODE=1", reference, "bash", "-c",
            f'PYTHONPATH={paths}:$PYTHONPATH exec "$@"',
            "bash", "python3", "-m", *words,
        ],
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
