"""Double precision for frameworks that have none: PyTorch's, where the image has PyTorch."""

from importlib import import_module

import numpy as np

from backends.harness import arguments
from backends.harness.errors import Unsupported


def training_step(graph, values, inputs, labels, decisions=None):
    """PyTorch's float64 `parity.Step`; raises `Unsupported` where there is no PyTorch."""
    try:
        step = import_module("backends.pytorch.step")
        torch = import_module("torch")
    except ImportError:
        raise Unsupported(
            "no float64 in this framework, and no PyTorch here to take its place"
        ) from None
    if decisions is not None:
        decisions = [torch.from_numpy(decision) for decision in decisions]
    settings = arguments.one_step(
        graph.name, "training", len(inputs), arguments.choose(step.OPTIONS, [])
    )
    return step.training_step(
        settings, graph, values, inputs, labels, precise=True, decisions=decisions
    )


def decisions(graph, value_of, every_largest=False):
    """Which way ReLU and max pooling went, as `backends.pytorch.kinks` has it.

    ``value_of(node)`` is the node's value in the step. Max pooling has one choice, the first
    of the largest values, or with `every_largest` all of them.
    """
    made = []
    choose = _largest if every_largest else _chosen
    for node in graph.nodes:
        if node.op == "relu":
            made.append(np.asarray(value_of(node)) > 0)
        elif node.op == "max_pool":
            made.append(choose(node, np.asarray(value_of(node.inputs[0]))))
    return made


def _positions(node, x):
    """Yield (row, column, values under all windows) for each position inside the window."""
    (kh, kw), (sh, sw) = node.attrs["kernel"], node.attrs["stride"]
    top, left, bottom, right = node.attrs["pad"]
    widths = ((0, 0), (0, 0), (top, bottom), (left, right))
    padded = np.pad(x, widths, mode="constant", constant_values=-np.inf)
    height, width = node.shape[1:]
    for i in range(kh):
        for j in range(kw):
            rows = slice(i, i + sh * (height - 1) + 1, sh)
            columns = slice(j, j + sw * (width - 1) + 1, sw)
            yield i - top, j - left, padded[:, :, rows, columns]


def _chosen(node, x):
    """Flat index, in the image without its padding, of every window's first largest value."""
    sh, sw = node.attrs["stride"]
    height, width = node.shape[1:]
    best = np.full(x.shape[:2] + (height, width), -np.inf, dtype=x.dtype)
    chosen = np.zeros(best.shape, dtype=np.int64)
    for row, column, here in _positions(node, x):
        down = (np.arange(height) * sh + row).reshape(-1, 1)
        index = down * x.shape[3] + np.arange(width) * sw + column
        larger = here > best
        np.copyto(best, here, where=larger)
        np.copyto(chosen, np.broadcast_to(index, best.shape), where=larger)
    return chosen


def _largest(node, x):
    """Bool (N, C, positions, height, width): where every window's largest values are."""
    windows = np.stack([here for _, _, here in _positions(node, x)], axis=2)
    return windows == windows.max(axis=2, keepdims=True)
