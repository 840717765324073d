"""What MXNet, OpenMP and CUDA read from the environment only once, when they are loaded."""

import argparse
import contextlib
import os

from backends.harness import machine

THREADS = "OMP_NUM_THREADS"
TF32 = "NVIDIA_TF32_OVERRIDE"
SUBGRAPH = "MXNET_SUBGRAPH_BACKEND"


def settle(argv):
    """Set the environment for these arguments; call before MXNet is imported.

    Wrong arguments are passed over here: the harness complains about them.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--threads")
    parser.add_argument("--dtype")
    asked = parser.parse_known_args(argv)[0]
    if asked.threads and asked.threads.isdigit():
        os.environ[THREADS] = asked.threads
    elif not os.environ.get(THREADS, "").isdigit():
        os.environ[THREADS] = str(machine.cpus())
    # cuBLAS and cuDNN round float32 to TF32 of themselves on Ampere and later.
    if asked.dtype == "tf32":
        os.environ.pop(TF32, None)
    else:
        os.environ[TF32] = "0"


def threads():
    """How many threads MXNet's operators use."""
    text = os.environ.get(THREADS, "")
    return int(text) if text.isdigit() else machine.cpus()


@contextlib.contextmanager
def subgraph_backend(name):
    """Which rewriting of graphs is in force where a symbol is bound inside."""
    before = os.environ.get(SUBGRAPH)
    os.environ[SUBGRAPH] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ[SUBGRAPH]
        else:
            os.environ[SUBGRAPH] = before
