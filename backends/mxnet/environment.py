"""Environment variables that MXNet, OpenMP and CUDA read only once, when they are loaded."""

import argparse
import contextlib
import os

from backends.harness import machine, tf32

THREADS = "OMP_NUM_THREADS"
SUBGRAPH = "MXNET_SUBGRAPH_BACKEND"


def settle(argv):
    """Set the environment for these arguments; call before MXNet is imported.

    Ignores wrong arguments: the harness reports them.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--threads")
    asked = parser.parse_known_args(argv)[0]
    if asked.threads and asked.threads.isdigit():
        os.environ[THREADS] = asked.threads
    elif not os.environ.get(THREADS, "").isdigit():
        os.environ[THREADS] = str(machine.cpus())
    tf32.settle(argv)


def threads():
    """How many threads MXNet's operators use."""
    text = os.environ.get(THREADS, "")
    return int(text) if text.isdigit() else machine.cpus()


@contextlib.contextmanager
def subgraph_backend(name):
    """The name of the graph rewriting for a symbol that is bound inside; None is none."""
    before = os.environ.get(SUBGRAPH)
    _put(SUBGRAPH, name)
    try:
        yield
    finally:
        _put(SUBGRAPH, before)


def _put(variable, value):
    if value is None:
        os.environ.pop(variable, None)
    else:
        os.environ[variable] = value
