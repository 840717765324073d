"""Checks that a framework computes the zoo's networks: the same checks for all of them.

P1: the built network yields every node in its shape. P2: logits of the benchmark's inference job,
random running statistics, against the referee. P3: three steps of the benchmark's training job
against the referee: see `trajectory`. P4: several ranks against one: see `ranks_parity`.

Parity uses the same object that a benchmark times: it feeds a batch to the job that `prepare`
returns, runs steps, and reads the results. Each level works in any number type and on either
device, as a benchmark with such settings computes.

A deviation is max |difference| / max |reference|. The referee is independent of the framework, so a
builder cannot pass by being wrong in the same way twice.
"""

from collections import OrderedDict, namedtuple

import numpy as np

from backends.harness import arguments, ranks_parity, trajectory
from backends.harness.errors import Unsupported
from backends.harness.findings import Verdict, deviation
from backends.zoo import calibration, referee, weights

BATCH = 2
SEED = 7

Tolerance = namedtuple("Tolerance", "logits step")
Tolerance.__doc__ = """The largest deviation of P2 and of P3 that holds."""


def _rounded(bits):
    """Tolerances for numbers with this many significant bits, in units of their roundoff.

    Rounding every weight and every value moves the referee's logits by 1.0 to 2.5 units, from
    the smallest model to the largest; PyTorch, TensorFlow and OpenVINO stayed below 3.5 with
    bfloat16, and below 7.4 in a training step. Sums in half precision, as TensorFlow's float16
    kernels for CPUs have them, cost 8 to 10 units and do not hold.
    """
    roundoff = 2.0**-bits
    return Tolerance(6 * roundoff, 16 * roundoff)


TOLERANCES = OrderedDict(
    [
        ("float32", Tolerance(1e-5, 1e-4)),
        ("tf32", _rounded(11)),
        ("float16", _rounded(11)),
        ("bfloat16", _rounded(8)),
    ]
)


def check(level, backend, graph, asked):
    """The `Verdict` of one model at one level; `asked` is `arguments.ParitySettings`.

    None in a process that another one reports for.
    """
    compare, phase = LEVELS[level]
    settings = arguments.one_step(
        graph.name,
        phase,
        BATCH,
        asked.options,
        dtype=asked.dtype,
        device=asked.device,
        devices=asked.devices,
    )
    return compare(backend, settings, graph)


def check_shapes(backend, _settings, graph):
    """P1; the deviation is the number of nodes that are missing or differ."""
    wrong = misshapen(graph, backend.shapes(graph))
    detail = wrong[0] if wrong else "%d nodes" % len(graph.nodes)
    return Verdict(not wrong, float(len(wrong)), 0, detail)


def misshapen(graph, shapes):
    """A line per node that is missing or differs among (name, shape) pairs of a built network."""
    found = OrderedDict((name, tuple(shape)) for name, shape in shapes)
    return [
        "%s is %s, drawn %s" % (node.name, found.get(node.name, "missing"), node.shape)
        for node in graph.nodes
        if found.get(node.name) != node.shape
    ]


def check_forward(backend, settings, graph):
    """P2: two steps of the job, the second on the reversed batch, to reveal a repeated one."""
    values = calibration.exposed(graph, weights.for_graph(graph, SEED))
    inputs = weights.inputs(graph, BATCH, SEED)
    tolerance = TOLERANCES[settings.dtype].logits
    reference = referee.forward(graph, values, inputs)
    first, second = _logits(backend, settings, graph, values, inputs)
    worst, repeated = deviation(first, reference), deviation(second, reference[::-1])
    detail = "max |logit| %.4g" % np.max(np.abs(reference))
    if not worst <= tolerance:
        built = backend.activations(settings, graph, values, inputs)
        detail = first_difference(built, referee.walk(graph, values, inputs), tolerance)
    elif not repeated <= tolerance:
        detail = "the first step's logits hold; after another input the second's do not"
    worst = float(np.max([worst, repeated]))  # max() would lose a nan that is not first
    return Verdict(bool(worst <= tolerance), worst, tolerance, detail)


def _logits(backend, settings, graph, values, inputs):
    labels = weights.labels(graph, BATCH, SEED)
    job = backend.prepare(settings, graph, values)
    try:
        found = []
        for order in (1, -1):
            job.feed(np.ascontiguousarray(inputs[::order]), labels[::order].copy())
            job.step()
            job.synchronize()
            found.append(np.array(job.logits(), dtype=np.float32))
        return found
    finally:
        job.close()


def first_difference(built, expected, tolerance):
    """Name the first node whose values differ from the referee's."""
    drawn = iter(expected)
    for name, found in built:
        # The nodes in between are computed as part of others.
        node, reference = next((pair for pair in drawn if pair[0].name == name), (None, None))
        if node is None:
            return "%s was built, but is not in the network there" % name
        worst = deviation(found, reference)
        if not worst <= tolerance:
            return "%s (%s) is the first to differ: %.3g" % (node.name, node.op, worst)
    return "every node agrees when computed one by one"


def check_training(backend, settings, graph):
    """P3."""
    return trajectory.check(backend, settings, graph, TOLERANCES[settings.dtype].step)


def check_ranks(backend, settings, graph):
    """P4."""
    if settings.devices == 1:
        raise Unsupported("P4 compares several ranks with one: use --devices 2")
    return ranks_parity.check(backend, settings, graph, TOLERANCES[settings.dtype].step)


LEVELS = {
    "P1": (check_shapes, "inference"),
    "P2": (check_forward, "inference"),
    "P3": (check_training, "training"),
    "P4": (check_ranks, "training"),
}
