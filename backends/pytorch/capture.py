"""Whole steps as CUDA graphs."""

import sys

import torch

PREPARATIONS = 3  # allocators, autotuning and momentum buffers must have settled


def captured(work):
    """A callable that replays `work`, and what to record: "on", or why not.

    Capture can fail where an operation waits for the host. Then `work` itself is returned,
    and the result says so: never a silent fall-back.
    """
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(PREPARATIONS):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph):
            work()
    except RuntimeError as error:
        if "out of memory" in str(error).lower():
            raise
        first = str(error).strip().splitlines()[0]
        sys.stderr.write("CUDA graph capture failed: %s\n" % error)
        torch.cuda.synchronize()
        return work, "off: capture failed: %s" % first
    return graph.replay, "on"
