"""Differences between the forks of Caffe."""

from collections import OrderedDict, namedtuple

from backends.harness.errors import Unsupported

Dialect = namedtuple(
    "Dialect",
    "name title fused_norm averages divides_data_batch network_fields solver_fields dtypes marks "
    "engines rewrites plain_sums",
)
Dialect.__doc__ = """One fork.

`fused_norm`: BatchNorm holds gamma and beta itself, where others follow it by a Scale layer.
`averages`: BatchNorm keeps sums and their weight (blob 2), where others keep the averages.
`divides_data_batch`: with several GPUs a Data layer's batch is all GPUs' together; in the
others, and for Input and DummyData in all of them, it is each GPU's.
`network_fields`, `solver_fields`: dtype -> fields that choose the precision or the engine.
`marks`: fields (message, name) of the parser's schema that tell the fork from the others.
`engines`: names of the libraries that a network can ask for; the first is taken by default.
`rewrites`: layers are merged, folded or left out when a network is made.
`plain_sums`: a sum cannot train with coefficients, ignores them if it is fused into a convolution,
and hands its own gradient to its inputs in one shared buffer.
"""


class Word(str):
    """An enum's value: written without quotes."""


# NVIDIA's own models scale the gradients of float16 by 1000.
GRADIENT_SCALE = 1000.0


def _half(dtype):
    return [
        ("default_forward_type", Word("FLOAT16")),
        ("default_backward_type", Word("FLOAT16")),
        ("default_forward_math", Word(dtype)),
        ("default_backward_math", Word(dtype)),
        ("global_grad_scale", GRADIENT_SCALE),
    ]


BVLC = Dialect(
    name="bvlc_caffe",
    title="BVLC Caffe",
    fused_norm=False,
    averages=False,
    divides_data_batch=False,
    network_fields={"float32": []},
    solver_fields={"float32": []},
    dtypes={"cpu": ("float32",), "gpu": ("float32",)},
    marks=(),
    engines=(),
    rewrites=False,
    plain_sums=False,
)

# With scale_bias NVIDIA's BatchNorm runs as one cuDNN call. It ignores use_global_stats in
# favour of the phase, and its first training step (on a CPU, the first two) replaces the averages.
NVIDIA = Dialect(
    name="nvidia_caffe",
    title="NVIDIA Caffe",
    fused_norm=True,
    averages=True,
    divides_data_batch=True,
    network_fields={
        "float32": [
            ("default_forward_type", Word("FLOAT")),
            ("default_backward_type", Word("FLOAT")),
            ("default_forward_math", Word("FLOAT")),
            ("default_backward_math", Word("FLOAT")),
        ],
        "float16": _half("FLOAT"),
    },
    solver_fields={
        "float32": [("solver_data_type", Word("FLOAT"))],
        "float16": [("solver_data_type", Word("FLOAT"))],
    },
    dtypes={"cpu": ("float32",), "gpu": ("float32", "float16")},
    marks=(("NetParameter", "default_forward_type"),),
    engines=(),
    rewrites=False,
    plain_sums=False,
)

# A network without an engine gets the one that this Caffe was built for, which is MKL-DNN by
# default. `CAFFE` are BVLC's loops. An engine that it was built without ends the program.
INTEL = Dialect(
    name="intel_caffe",
    title="Intel Caffe",
    fused_norm=False,
    averages=False,
    divides_data_batch=False,
    network_fields={"float32": []},
    solver_fields={"float32": []},
    dtypes={"cpu": ("float32",)},
    marks=(("NetParameter", "engine"), ("NetParameter", "compile_net_state")),
    engines=("MKLDNN", "CAFFE", "MKL2017"),
    rewrites=True,
    plain_sums=True,
)

DIALECTS = OrderedDict((dialect.name, dialect) for dialect in (BVLC, NVIDIA, INTEL))


def head(dialect, dtype="float32", engine="auto"):
    """A network's fields for the precision and, if there is a choice, the engine.

    `engine` "auto" is the dialect's first. Raises `Unsupported`.
    """
    if dtype not in dialect.network_fields:
        raise Unsupported("%s has no %s" % (dialect.title, dtype))
    chosen = dialect.network_fields[dtype]
    if engine != "auto" and engine not in dialect.engines:
        raise Unsupported("%s has no engine %s" % (dialect.title, engine))
    if not dialect.engines:
        return chosen
    return chosen + [("engine", dialect.engines[0] if engine == "auto" else engine)]
