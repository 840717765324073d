"""Whole steps as CUDA graphs."""

import sys

import torch

from backends.harness.errors import Unsupported

PREPARATIONS = 3  # allocators, autotuning and momentum buffers must have settled


def captured(work, tidy):
    """A callable that replays `work`; `tidy` frees what preparing it leaves behind.

    Raises `Unsupported` if the capture fails, for example because an operation waits for the host:
    allocator and random numbers then stay in their state of the capture, so that no honest
    measurement is possible in this process.
    """
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(PREPARATIONS):
            work()
        tidy()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            work()
    except RuntimeError as error:
        if "out of memory" in str(error).lower():
            raise
        sys.stderr.write("CUDA graph capture failed: %s\n" % error)
        first = str(error).strip().splitlines()[0]
        raise Unsupported(
            "this step cannot be a CUDA graph (%s): use --option cuda_graphs=off" % first
        ) from error
    return graph.replay
