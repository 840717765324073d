"""Does a framework compute what was drawn? The same three checks for all of them.

P1: the built network yields every node in the shape drawn.
P2: inference logits, random running statistics, against the referee.
P3: one training step of plain SGD, dropout off: the loss and the new running statistics
against the referee in training mode, the slope of the referee's loss along the gradient
against the gradient's length, and gradient norms and updated weights against the same
framework in double precision that decides alike at every kink.

Each in any number type and on either device, as a benchmark with such settings computes.

A deviation is max |difference| / max |reference|. The referee's logits know nothing of the
framework, so a builder cannot pass by being wrong in the same way twice.
"""

from collections import OrderedDict, namedtuple

import numpy as np

from backends.harness import arguments, errors
from backends.zoo import referee, weights

BATCH = 2
SEED = 7
RATE = 1e-4

# The scale of float16's loss in a training step: far from overflow in every model, and a
# power of two, which adds no rounding. A benchmark finds its own.
LOSS_SCALE = 2.0**7

Tolerance = namedtuple("Tolerance", "logits step")
Tolerance.__doc__ = """The largest deviation of P2 and of P3 that holds."""


def _rounded(bits):
    """Tolerances of numbers with so many significant bits, in units of their roundoff.

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

# How much the finite difference moves the loss: far above double precision's rounding of a
# loss near ten, far below where curvature and ReLU's kinks would show (in Inception-3,
# whose normalised layers are steep, 1e-5 was off by 1.5e-4).
LOSS_MOVE = 1e-7

# Added to a normalisation's beta where ReLU follows: about six of seven values are positive.
CALM_BETA = 1.0

# A small gradient has no meaningful relative error: norms below this share of the largest
# count as that share. One that is zero but for float64's rounding (a bias before batch
# normalisation) is nothing but rounding in every type, and is compared with the largest.
NORM_FLOOR = 1e-2
NORM_ZERO = 1e-9

Verdict = namedtuple("Verdict", "holds deviation tolerance detail")

Step = namedtuple("Step", "loss gradients updated statistics decisions started")
Step.__new__.__defaults__ = (None, None)
Step.__doc__ = """A training step.

`gradients`, `updated` (weights) and `statistics` (running, after the step) map canonical
names to arrays. `decisions`, which way ReLU and max pooling went, mean something only to
the backend; None where it cannot tell. `started` are the weights before the step, where the
framework has rounded them.
"""


def check(level, backend, graph, asked):
    """The `Verdict` of one model at one level; `asked` is `arguments.ParitySettings`."""
    compare, phase = LEVELS[level]
    settings = arguments.one_step(
        graph.name, phase, BATCH, asked.options, dtype=asked.dtype, device=asked.device
    )
    return compare(backend, settings, graph)


def deviation(found, reference):
    """Relative to the reference's largest magnitude; inf for another shape, nan stays nan."""
    found = np.asarray(found, dtype=np.float64)
    reference = np.asarray(reference, dtype=np.float64)
    if found.shape != reference.shape:
        return float("inf")
    largest = float(np.max(np.abs(reference)))
    return float(np.max(np.abs(found - reference))) / (largest or 1.0)


def _verdict(worst, tolerance, detail):
    return Verdict(bool(worst <= tolerance), float(worst), tolerance, detail)


def check_shapes(backend, _settings, graph):
    """P1; the deviation is the number of nodes that are missing or differ."""
    found = OrderedDict((name, tuple(shape)) for name, shape in backend.shapes(graph))
    wrong = [
        "%s is %s, drawn %s" % (node.name, found.get(node.name, "missing"), node.shape)
        for node in graph.nodes
        if found.get(node.name) != node.shape
    ]
    detail = wrong[0] if wrong else "%d nodes" % len(graph.nodes)
    return _verdict(len(wrong), 0, detail)


def check_forward(backend, settings, graph):
    """P2."""
    values = weights.for_graph(graph, SEED)
    inputs = weights.inputs(graph, BATCH, SEED)
    tolerance = TOLERANCES[settings.dtype].logits
    logits = backend.forward(settings, graph, values, inputs)
    reference = referee.forward(graph, values, inputs)
    worst = deviation(logits, reference)
    detail = "max |logit| %.4g" % np.max(np.abs(reference))
    if not worst <= tolerance:
        built = backend.activations(settings, graph, values, inputs)
        detail = first_difference(built, referee.walk(graph, values, inputs), tolerance)
    return _verdict(worst, tolerance, detail)


def first_difference(built, expected, tolerance):
    """Name the first node whose values differ from the referee's."""
    pairs = zip(expected, built)
    for (node, reference), (name, found) in pairs:
        if name != node.name:
            return "%s was built where %s was drawn" % (name, node.name)
        worst = deviation(found, reference)
        if not worst <= tolerance:
            return "%s (%s) is the first to differ: %.3g" % (node.name, node.op, worst)
    return "every node agrees when computed one by one"


def check_step(backend, settings, graph):
    """P3."""
    values = calm(graph, weights.for_graph(graph, SEED))
    inputs = weights.inputs(graph, BATCH, SEED)
    labels = weights.labels(graph, BATCH, SEED)
    own = {
        "biased": settings.device in getattr(backend, "BIASED_VARIANCE", ()),
        "replaces": getattr(backend, "REPLACES_STATISTICS", False),
        "ceiling": getattr(backend, "LOSS_CEILING", np.inf),
    }
    loss, running = train_forward(graph, values, inputs, labels, **own)
    given = (settings, graph, values, inputs, labels)
    step = backend.training_step(*given)
    found = [("loss", "", deviation([step.loss], [loss]))]
    found.append(_worst("statistics", step.statistics, running))
    found.append(_update(values, step))
    try:
        precise = backend.training_step(*given, precise=True)
    except errors.Unsupported:
        precise = None
    found.append(_slope(graph, values, inputs, labels, (precise or step).gradients))
    if precise and step.decisions is not None:
        del precise  # VGG-19's weights and gradients take 2.3 GB in double precision
        precise = backend.training_step(*given, precise=True, decisions=step.decisions)
    if precise:
        found.append(_norms(step.gradients, precise.gradients))
        found.append(_worst("weights", step.updated, precise.updated))
    detail = ", ".join("%s %.2g%s" % (what, worst, where) for what, where, worst in found)
    # max() would lose a nan that is not first.
    worst = float(np.max([entry[2] for entry in found]))
    return _verdict(worst, TOLERANCES[settings.dtype].step, detail)


def calm(graph, values):
    """The values of a step that does not blow rounding up.

    With batch statistics and ReLU a random network without shortcuts is chaotic: a layer
    makes any perturbation 1.2 times as large (Yang et al. 2019, "A mean field theory of
    batch normalization"), which in Inception-4 leaves no digit of a float32 gradient for
    certain. Where ReLU takes away little it hardly grows at all.
    """
    values = OrderedDict(values)
    for node in graph.nodes:
        if node.op == "relu" and node.inputs[0].op == "batch_norm":
            name = node.inputs[0].name + ".beta"
            values[name] = values[name] + np.float32(CALM_BETA)
    return values


def train_forward(graph, values, inputs, labels, biased=False, replaces=False, ceiling=np.inf):
    """The referee's loss in training mode and the running statistics it leaves behind.

    The referee normalises with whatever statistics it is given; here they are the batch's,
    put in place just before each normalisation is computed. `biased`: running variances are
    fed the biased batch variance, as some frameworks do. `replaces`: nothing of the old ones is
    kept. `ceiling`: see `referee.loss`.
    """
    norms = {}
    for node in graph.nodes:
        if node.op == "batch_norm":
            norms.setdefault(node.inputs[0], []).append(node)
    current, running, array = dict(values), OrderedDict(), None
    for node, array in referee.walk(graph, current, inputs):
        for norm in norms.get(node, ()):
            mean, variance = array.mean(axis=(0, 2, 3)), array.var(axis=(0, 2, 3))
            count = array.size // array.shape[1]
            fed = variance if biased else variance * count / (count - 1)
            current[norm.name + ".mean"] = mean
            current[norm.name + ".variance"] = variance
            for role, new in (("mean", mean), ("variance", fed)):
                name, decay = norm.name + "." + role, 0.0 if replaces else norm.attrs["decay"]
                running[name] = decay * values[name] + (1 - decay) * new
    return referee.loss(graph, array, labels, ceiling), running


def _worst(what, found, reference):
    worst, where = 0.0, ""
    for name in reference:
        distance = deviation(found[name], reference[name]) if name in found else float("inf")
        if not distance <= worst:
            worst, where = distance, " (%s)" % name
    return what, where, worst


def _update(values, step):
    """The weights moved as far as the rate and the step's own gradients say."""
    started = step.started or values
    moved = [step.updated[name] - started[name] for name in step.gradients]
    expected = [RATE * gradient for gradient in step.gradients.values()]
    return "update", "", deviation([_total(moved)], [_total(expected)])


def _norms(found, reference):
    lengths = OrderedDict((name, _length(reference[name])) for name in reference)
    largest = max(lengths.values())
    worst, where = 0.0, ""
    for name, length in lengths.items():
        floor = largest * (1.0 if length < NORM_ZERO * largest else NORM_FLOOR)
        distance = abs(_length(found[name]) - length) / max(length, floor)
        if not distance <= worst:
            worst, where = distance, " (%s)" % name
    return "gradient norms", where, float(worst)


def _length(array):
    """Summed in float64: NumPy's own norm sums in the array's type."""
    return float(np.sqrt(np.sum(np.square(array, dtype=np.float64))))


def _total(arrays):
    """Length of all arrays as one vector."""
    return _length([_length(array) for array in arrays])


def _slope(graph, values, inputs, labels, gradients):
    """Along the gradient the referee's loss must rise as steeply as the gradient is long."""
    squared = _total(gradients.values()) ** 2
    reach = LOSS_MOVE / squared
    ends = []
    for sign in (1, -1):
        moved = dict(values)
        for name in gradients:
            moved[name] = values[name] + sign * reach * gradients[name].astype(np.float64)
        ends.append(train_forward(graph, moved, inputs, labels)[0])
    return "slope", "", deviation([(ends[0] - ends[1]) / (2 * reach)], [squared])


LEVELS = {
    "P1": (check_shapes, "inference"),
    "P2": (check_forward, "inference"),
    "P3": (check_step, "training"),
}
