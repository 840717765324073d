"""Folds normalization into the convolution before it, for inference."""

from collections import OrderedDict

import numpy as np


def foldable(graph):
    """Convolution -> the normalization that can be folded into it: nothing else reads its value."""
    readers = graph.readers
    return OrderedDict(
        (node.inputs[0], node)
        for node in graph.nodes
        if node.op == "batch_norm"
        and node.inputs[0].op == "conv"
        and readers[node.inputs[0]] == [node]
    )


def folded(values, absorbs):
    """Values for convolutions that also do the normalization after them.

    `absorbs` maps such a convolution to its normalization; every one then has a bias.
    """
    result = OrderedDict(values)
    for conv, norm in absorbs.items():
        gamma, beta, mean, variance = (
            np.asarray(values[norm.name + "." + role], np.float64)
            for role in ("gamma", "beta", "mean", "variance")
        )
        factor = gamma / np.sqrt(variance + norm.attrs["eps"])
        weight = values[conv.name + ".weight"] * factor.reshape(-1, 1, 1, 1)
        bias = beta + (values.get(conv.name + ".bias", 0.0) - mean) * factor
        result[conv.name + ".weight"] = weight.astype(np.float32)
        result[conv.name + ".bias"] = bias.astype(np.float32)
    return result
