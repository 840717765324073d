"""P3: compares the benchmark's training job with the referee, step by step.

The job gets a different batch before every step. The referee starts each step from the weights,
velocities and running statistics that the job had before it, so a deviation is that of one step and
does not grow. Compared are the loss, the running statistics, the velocities (which hold the
gradient and the momentum) and how far the weights moved (which holds the rate).
"""

from collections import OrderedDict

import numpy as np

from backends.harness import dropout
from backends.harness.findings import Findings, deviation, length
from backends.zoo import backward, calibration, weights
from backends.zoo.graph import without_dropout

BATCH = 2
SEED = 7
STEPS = 3

# The promises of every training benchmark (docs/parity.md), repeated here: the constants of
# `backends.harness.sgd` are among the things that are proven.
RATE = 1e-4
MOMENTUM = 0.9
DECAY = 0.0

# A max pooling whose two largest values are within rounding of each other may send its gradient to
# either: that changes a gradient's direction and hardly its length. So velocities must agree within
# the tolerance along the referee's, and as a whole within this many tolerances.
ACROSS = 1000.0

# A random change of direction also has a part along the vector, which is forgiven. A pooling moves
# a layer's gradient by one vector over the filters, because its inputs are alike: the part is that
# of a random vector with as many dimensions, so Student's t bounds it. In ten runs of GoogLeNet
# (PyTorch 1.5.1) up to 0.66 of the whole in layers of 16 filters, where t = 5 forgives 0.79, and
# 0.35 in layers of 64. Half is forgiven in every layer; half of an error of the length remains.
FORGIVEN = 0.5
STUDENT = 5.0

# The smallest weight decay that can be detected in float32: a twentieth of the usual 1e-4. If
# gradients are much longer than the weights (35 times in Deep Speech 2), rounding looks like a
# larger one: a tenth of the tolerance of velocities.
LEAST_DECAY = 0.05
DECAY_SHARE = 0.1

# A small gradient has no meaningful relative error: norms below this share of the largest count as
# that share. One that is zero except for rounding (a bias before batch normalization) is only
# rounding in every type, and is compared with the largest.
NORM_FLOOR = 1e-2
NORM_ZERO = 1e-9

# The number of halvings from a loss scale of 2^16, PyTorch's first, to one.
SCALING_STEPS = 17

# The movement that rounding a float32 weight to the next one can hide.
ROUNDING = 2.0**-24


def check(backend, settings, graph, tolerance):
    """The `Verdict` on `STEPS` steps, and on dropout if the network has any."""
    inputs, steady = weights.inputs(graph, BATCH, SEED), without_dropout(graph)
    values = calibration.for_training(steady, inputs, SEED)
    found = Findings()
    job = backend.prepare(settings._replace(batch=BATCH), steady, values)
    try:
        walk(backend, settings, steady, job, _in_turn(inputs), found, tolerance)
    finally:
        job.close()
    if len(steady.nodes) < len(graph.nodes):
        one = backend.prepare(settings._replace(batch=1), graph, values)
        try:
            walk_dropping(backend, settings, graph, one, inputs[:1], found, tolerance)
        finally:
            one.close()
    return found.verdict(tolerance)


def _in_turn(inputs):
    """A batch per step: reversed every other time."""
    return [np.ascontiguousarray(inputs[::-1] if n % 2 else inputs) for n in range(STEPS)]


def walk(backend, settings, graph, job, batches, found, tolerance, *, masks=None):
    """Take a step with each batch, newly labelled, and compare it with the referee's.

    `masks` returns what a step dropped (`backward.Rules.mask`), given the states before and after;
    the referee drops the same.
    """
    before = _scaled(settings, graph, job, batches[0])
    for number, inputs in enumerate(batches):
        labels = weights.labels(graph, len(inputs), SEED + number)
        after = _taken(job, inputs, labels)
        mask = masks(before, after) if masks else None
        rules = _rules(backend, settings, job, number, mask)
        expected = backward.step(graph, _values(before), inputs, labels, rules)
        compare(found, tolerance, (before, after), job.loss(), expected, number)
        before = after


def walk_dropping(backend, settings, graph, job, inputs, found, tolerance):
    """Steps on one batch with dropout: find what was dropped, and judge that too."""
    seen = dropout.Seen()

    def masks(before, after):
        return dropout.Masks(graph, _gradients(before, after), seen).mask

    batches = [inputs] * dropout.STEPS
    walk(backend, settings, graph, job, batches, found, tolerance, masks=masks)
    seen.judge(found)


def _scaled(settings, graph, job, inputs):
    """The state to start from: in float16 after the loss scale has settled.

    If the loss scale is too large, a step overflows and moves nothing; a benchmark's warm-up is
    there to settle it. A state that never moves is compared unchanged.
    """
    state, labels = job.state(), weights.labels(graph, len(inputs), SEED)
    for _ in range(SCALING_STEPS if settings.dtype == "float16" else 0):
        before, state = state, _taken(job, inputs, labels)
        if any(np.any(state.weights[name] != before.weights[name]) for name in state.weights):
            break
    return state


def _taken(job, inputs, labels):
    job.feed(inputs, labels)
    job.step()
    job.synchronize()
    return job.state()


def _rules(backend, settings, job, number, mask):
    replaces = getattr(backend, "REPLACES_STATISTICS", False) and number == 0
    # In half precision, values count as equal that are further apart than rounding explains here.
    held = job.held if settings.dtype == "float32" else None
    return backward.Rules(
        job.biased_variance, replaces, mask, held, job.every_largest, job.least_probability
    )


def _values(state):
    values = OrderedDict(state.weights)
    values.update(state.statistics)
    return values


def _gradients(before, after):
    """The gradient that a job must have computed, given its velocities before and after."""
    return {
        name: velocity - np.float32(MOMENTUM) * before.velocities[name]
        for name, velocity in after.velocities.items()
    }


def compare(found, tolerance, states, loss, expected, number):
    """Note every deviation of one step."""
    before, after = states
    step = "step %d" % (number + 1)
    found.add("loss", step, abs(loss - expected.loss) / max(1.0, abs(expected.loss)), tolerance)
    for name, reference in expected.statistics.items():
        where = "%s, %s" % (name, step)
        found.add("statistics", where, deviation(after.statistics[name], reference), tolerance)
    _compare_velocities(found, tolerance, before, after, expected.gradients, step)
    for name, velocity in after.velocities.items():
        moved = before.weights[name].astype(np.float64) - after.weights[name]
        worst = _misplaced(moved, RATE * velocity.astype(np.float64), before.weights[name])
        found.add("update", "%s, %s" % (name, step), worst, max(tolerance, 1e-4))


def _compare_velocities(found, tolerance, before, after, gradients, step):
    lengths, slopes, off, decayed, weighed = OrderedDict(), {}, OrderedDict(), 0.0, 0.0
    for name, gradient in gradients.items():
        weight = before.weights[name].astype(np.float64)
        expected = MOMENTUM * before.velocities[name] + gradient + DECAY * weight
        difference = after.velocities[name] - expected
        lengths[name], slopes[name] = length(expected), length(gradient)
        off[name] = apart(difference, expected)
        decayed += float(np.vdot(difference, weight))
        weighed += float(np.vdot(weight, weight))
    largest, steepest = max(lengths.values()), max(slopes.values())
    for name, (along, across) in off.items():
        zero = slopes[name] < NORM_ZERO * steepest
        size = max(lengths[name], largest * (1.0 if zero else NORM_FLOOR))
        where = "%s, %s" % (name, step)
        found.add("velocity", where, along / size, tolerance)
        found.add("direction", where, across / size, min(0.5, ACROSS * tolerance))
    steep = length(list(lengths.values())) / np.sqrt(weighed)
    found.add(
        "decay", step, abs(decayed) / weighed, tolerance * max(LEAST_DECAY, DECAY_SHARE * steep)
    )


def apart(difference, expected):
    """How far off a velocity is along the expected one, and as a whole; see `ACROSS`.

    The first axis of both arrays counts the filters.
    """
    across = length(difference)
    along = abs(float(np.vdot(difference, expected))) / (length(expected) or 1.0)
    spread = np.sqrt(len(expected) - 1 + STUDENT**2)
    return _above_zero(along - max(FORGIVEN, STUDENT / spread) * across), across


def _misplaced(moved, expected, weight):
    """How far a weight is from its expected value, beyond rounding, relative to its expected
    movement.
    """
    hidden = ROUNDING * length(weight)
    beyond = _above_zero(length(moved - expected) - hidden)
    return beyond / max(length(expected), hidden)


def _above_zero(number):
    """At least zero; a nan stays one, which Python's max() would lose."""
    return float(np.maximum(0.0, number))
