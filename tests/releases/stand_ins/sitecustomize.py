"""Lets a program of TensorFlow 1 that is written for a GPU run on a CPU, unmodified.

Sessions place softly, and the operations that TensorFlow's CPU kernels do not have in NCHW are
computed in NHWC between two transpositions. It says nothing about a GPU's speed; it shows that the
program takes the launcher's arguments and prints what the parser reads. Python imports this module
if its folder is on PYTHONPATH.
"""

import functools
import itertools
import sys

if not hasattr(sys, "argv"):  # CPython 2.7 sets it later, and TensorFlow reads it
    sys.argv = [""]
try:
    import tensorflow as tf
    from tensorflow.python.client import session
    from tensorflow.python.ops import gen_nn_ops, nn, nn_ops
except ImportError:
    tf = None

IMAGES = ("input", "value", "x")  # what operations call their image
OPERATIONS = (
    "conv2d",
    "max_pool",
    "_max_pool",
    "avg_pool",
    "_avg_pool",
    "bias_add",
    "_bias_add",
    "fused_batch_norm",
    "_fused_batch_norm",
    "fused_batch_norm_v2",
    "_fused_batch_norm_v2",
    "fused_batch_norm_v3",
)
TO_NHWC, TO_NCHW = (0, 2, 3, 1), (0, 3, 1, 2)


def moved(numbers):
    """Return four numbers of N, C, H, W in the order N, H, W, C."""
    if isinstance(numbers, (list, tuple)) and len(numbers) == 4:
        return [numbers[place] for place in TO_NHWC]
    return numbers


def in_nhwc(operation):
    """Wrap an operation that takes `data_format`; of its results only the first is an image."""

    @functools.wraps(operation)
    def computed(*values, **options):
        if options.get("data_format") not in ("NCHW", b"NCHW"):
            return operation(*values, **options)
        if not values:
            values = (next(options.pop(name) for name in IMAGES if name in options),)
        value, others = values[0], values[1:]
        options["data_format"] = "NHWC"
        for name in ("strides", "ksize", "dilations"):
            if name in options:
                options[name] = moved(options[name])
        found = operation(tf.transpose(value, TO_NHWC), *map(moved, others), **options)
        if isinstance(found, tuple):
            image = tf.transpose(found[0], TO_NCHW)
            if hasattr(found, "_fields") and hasattr(found, "_replace"):
                return found._replace(**{found._fields[0]: image})
            return tuple(itertools.chain([image], found[1:]))
        return tf.transpose(found, TO_NCHW)

    return computed


def place_softly(make):
    @functools.wraps(make)
    def made(self, target="", graph=None, config=None):
        config = config or tf.ConfigProto()
        config.allow_soft_placement = True
        make(self, target, graph, config)

    return made


if tf is not None and tf.__version__.startswith("1."):
    session.BaseSession.__init__ = place_softly(session.BaseSession.__init__)
    for name in OPERATIONS:
        for module in (gen_nn_ops, nn_ops, nn, tf.nn):
            own = getattr(module, name, None)
            # The others have operations of their own of the same names, which call these.
            if own is not None and own.__module__ == gen_nn_ops.__name__:
                setattr(module, name, in_nhwc(own))
