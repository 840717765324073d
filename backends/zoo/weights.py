"""Test weights and data that every image generates identically, bit for bit.

A value is a pure function of its name, shape and seed: NumPy's legacy `RandomState`, whose
stream is frozen, seeded by a digest; then only sums, products and square roots, which IEEE
754 rounds exactly.

The scales keep values of order one in every network and reveal mistakes: biases, betas and running
means are not zero, variances and gammas not one, so a wrong epsilon or a forgotten term shows in
the logits.
"""

import hashlib
import struct
from collections import OrderedDict

import numpy as np

# Role -> lowest and highest value. Gamma's square times the mean of 1 / variance is about
# one, so that a normalisation neither grows nor shrinks what passes.
RANGES = {
    "bias": (-0.25, 0.25),
    "beta": (-0.25, 0.25),
    "mean": (-0.25, 0.25),
    "variance": (0.5, 1.5),
    "gamma": (0.75, 1.15),
}
# The last normalization of a residual branch: without damping, 90 sums would explode.
DAMPED_GAMMA = (0.05, 0.25)
DAMPED_SUFFIX = "last_batch_norm"

# LRN's sum of squares is multiplied by 2e-5: on inputs of order one it would have no effect.
LRN_INPUT_SCALE = 8.0

# A two-second utterance has about this many pairs of characters.
LABEL_LENGTH = 16

# Generated in pieces, so that the largest array needs no second copy in double precision.
PIECE = 1 << 20


def value(name, shape, seed):
    """Float32 array for the parameter or statistic called ``<node>.<role>``."""
    low, high = _range(name, shape)
    return _uniform(name, shape, seed, low, high)


def for_graph(graph, seed):
    """Name -> array for all parameters and then all statistics of a graph."""
    arrays = graph.parameters + graph.statistics
    return OrderedDict((array.name, value(array.name, array.shape, seed)) for array in arrays)


def inputs(graph, batch, seed):
    """Float32 (batch,) + input shape; the first samples are the same for any batch."""
    scale = LRN_INPUT_SCALE if any(node.op == "lrn" for node in graph.nodes) else 1.0
    high = scale * np.sqrt(3.0)
    return _uniform("input", (batch,) + graph.input_shape, seed, -high, high)


def labels(graph, batch, seed):
    """Int64 (batch,) of classes; for speech (batch, LABEL_LENGTH) without the blank, 0."""
    speech = graph.kind == "speech"
    shape = (batch, LABEL_LENGTH) if speech else (batch,)
    first = 1 if speech else 0
    draws = _stream("labels", seed).random_sample(shape)
    return first + np.floor(draws * (graph.classes - first)).astype(np.int64)


def _range(name, shape):
    node, role = name.rsplit(".", 1)
    if role == "gamma" and node.endswith(DAMPED_SUFFIX):
        return DAMPED_GAMMA
    if role in RANGES:
        return RANGES[role]
    if "_bias_" in role:
        return RANGES["bias"]
    # A uniform value has a third of its bound squared as variance. He's 2 / fan-in suits a
    # layer followed by ReLU; a recurrent step sums two products, so each has half of it.
    fan_in = 1
    for size in shape[1:]:
        fan_in *= size
    gain = 1.0 if "_weight_" in role else 2.0
    high = np.sqrt(3.0 * gain / fan_in)
    return -high, high


def _stream(name, seed):
    digest = hashlib.sha256(("%d:%s" % (seed, name)).encode("ascii")).digest()
    return np.random.RandomState(struct.unpack("<8I", digest))


def _uniform(name, shape, seed, low, high):
    stream = _stream(name, seed)
    result = np.empty(shape, dtype=np.float32)
    flat = result.reshape(-1)
    for start in range(0, flat.size, PIECE):
        piece = flat[start : start + PIECE]
        piece[:] = low + (high - low) * stream.random_sample(piece.size)
    return result
