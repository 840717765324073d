"""P4: compares several ranks with one rank that gets all their samples.

Both training jobs start from the same weights and take the same steps. The loss of a step is the
mean over the ranks. Where nothing is normalised every rank gets other images. Batch normalization
is by the statistics of a rank's own batch, so ranks compute what one rank computes only if these
are equal: there every rank gets the same images, with labels of its own, which still makes other
gradients. Only running variances differ then, by the factors of their unbiased estimates.
"""

from collections import namedtuple

import numpy as np

from backends.harness import trajectory
from backends.harness.findings import Findings, deviation, length
from backends.zoo import calibration, weights
from backends.zoo.graph import without_dropout

BATCH = 2  # of each rank
SEED = 7
STEPS = 3
LOSS = 1e-5  # in float32; other types have one tolerance for everything

# The movement that rounding a float32 weight to the next one can hide, in each step of each job.
HIDDEN = 2 * STEPS * 2.0**-24

Walked = namedtuple("Walked", "losses before after")
Walked.__doc__ = (
    """The mean loss of each step, and the states before the first and after the last."""
)


def check(backend, settings, graph, tolerance):
    """The `Verdict`; None in ranks that do not report."""
    steady = without_dropout(graph)
    batches = batches_of(steady, settings.devices)
    values = calibration.for_training(steady, batches[0][0], SEED)
    found = Findings()
    several = backend.prepare(settings._replace(batch=BATCH), steady, values)
    try:
        walked = walk(several, batches)
        compare_ranks(found, several, walked)
        if several.leader:
            expected = walk_whole(backend, settings, steady, values, batches)
        several.synchronize()  # some frameworks do not bear that a rank leaves before another
    finally:
        several.close()
    if not several.leader:
        return None
    biased = several.biased_variance
    loss = LOSS if settings.dtype == "float32" else tolerance
    compare(found, tolerance, loss, walked, expected)
    compare_statistics(found, tolerance, steady, settings.devices, walked, expected, biased)
    return found.verdict(tolerance)


def walk_whole(backend, settings, graph, values, batches):
    """What one rank does with everything."""
    whole = settings._replace(batch=BATCH * settings.devices, devices=1)
    job = backend.prepare(whole, graph, values)
    try:
        return walk(job, batches)
    finally:
        job.close()


def batches_of(graph, ranks):
    """Inputs and labels of all ranks for each step."""
    count = BATCH * ranks
    if any(node.op == "batch_norm" for node in graph.nodes):
        inputs = np.concatenate([weights.inputs(graph, BATCH, SEED)] * ranks)
    else:
        inputs = weights.inputs(graph, count, SEED)
    return [(inputs, weights.labels(graph, count, SEED + step)) for step in range(STEPS)]


def walk(job, batches):
    """Take a step with each batch, of which every process gets its share."""
    before, losses = job.state(), []
    for inputs, labels in batches:
        job.feed(_part(job, inputs), _part(job, labels))
        job.step()
        job.synchronize()
        losses.append(float(np.mean([told[0] for told in job.share([job.loss()])])))
    return Walked(losses, before, job.state())


def _part(job, array):
    each = len(array) // job.processes
    return np.ascontiguousarray(array[job.rank * each : (job.rank + 1) * each])


def compare_ranks(found, job, walked):
    """All ranks must have the same weights: compare two sums over all weights."""
    arrays = walked.after.weights.values()
    sums = [
        sum(float(np.sum(a, dtype=np.float64)) for a in arrays),
        length(list(map(length, arrays))),
    ]
    told = np.array(job.share(sums))
    worst = np.max(np.abs(told - told[0]), axis=0) / np.maximum(np.abs(told[0]), 1e-30)
    found.add("ranks", "", np.max(worst), 1e-9)


def compare(found, tolerance, loss, several, one):
    """Note how losses, weights and velocities deviate."""
    for number, (mine, reference) in enumerate(zip(several.losses, one.losses)):
        worst = abs(mine - reference) / max(1.0, abs(reference))
        found.add("loss", "step %d" % (number + 1), worst, loss)
    largest = max(length(velocity) for velocity in one.after.velocities.values())
    for name, velocity in one.after.velocities.items():
        weight, reference = several.after.weights[name], one.after.weights[name]
        found.add("weights", name, deviation(weight, reference), tolerance)
        found.add("movement", name, _misplaced(name, several, one), tolerance)
        difference = several.after.velocities[name] - velocity.astype(np.float64)
        along, across = trajectory.apart(difference, velocity)
        size = max(length(velocity), trajectory.NORM_FLOOR * largest)
        found.add("velocity", name, along / size, tolerance)
        found.add("direction", name, across / size, min(0.5, trajectory.ACROSS * tolerance))


def _misplaced(name, several, one):
    """How far apart the weights moved beyond rounding, relative to how far they moved."""
    moved = [
        walked.after.weights[name].astype(np.float64) - walked.before.weights[name]
        for walked in (several, one)
    ]
    hidden = HIDDEN * length(one.before.weights[name])
    # Python's max() would lose a nan.
    beyond = float(np.maximum(0.0, length(moved[0] - moved[1]) - hidden))
    return beyond / max(length(moved[1]), hidden)


def compare_statistics(found, tolerance, graph, ranks, several, one, biased):
    """Note how running means and variances deviate."""
    for node in graph.nodes:
        if node.op != "batch_norm":
            continue
        values = BATCH * int(np.prod(node.shape[1:]))
        factor = 1.0 if biased else _unbiased(values) / _unbiased(values * ranks)
        kept = node.attrs["decay"] ** STEPS
        for role, by in (("mean", 1.0), ("variance", factor)):
            name = "%s.%s" % (node.name, role)
            old = kept * one.before.statistics[name].astype(np.float64)
            expected = old + by * (one.after.statistics[name] - old)
            found.add(
                "statistics", name, deviation(several.after.statistics[name], expected), tolerance
            )


def _unbiased(count):
    return count / float(count - 1)
