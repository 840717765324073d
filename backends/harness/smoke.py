"""The self check of an image, the same for all backends: every model is built, one is run."""

from collections import OrderedDict

import numpy as np

from backends import zoo
from backends.harness import arguments, parity
from backends.zoo import weights

BATCH = 2
SEED = 1

PHASES = OrderedDict([("training", "trains"), ("inference", "infers")])


def check(prepare, declared, attempt, done, graphs=None, phases=tuple(PHASES)):
    """Attempt every graph, and run the smallest; return a line on what was `done`, such as "build".

    `attempt(graph)` raises if it fails; `graphs` are those of the zoo unless given. `prepare` is
    the backend's, `declared` are its options.
    """
    graphs = [zoo.draw(name) for name in zoo.names()] if graphs is None else graphs
    for graph in graphs:
        attempt(graph)
    ran = run_smallest(prepare, declared, graphs, phases)
    does = " and ".join(PHASES[phase] for phase in phases)
    return "%d models %s, %s %s" % (len(graphs), done, ran, does)


def as_drawn(shapes):
    """An attempt: `shapes(graph)`, the backend's, are those of the drawing, or a ValueError."""

    def attempt(graph):
        wrong = parity.misshapen(graph, shapes(graph))
        if wrong:
            raise ValueError("%s: %s" % (graph.name, wrong[0]))

    return attempt


def run_smallest(prepare, declared, graphs, phases=tuple(PHASES)):
    """Take a step of the smallest graph in each phase; return its name.

    `prepare` is the backend's, `declared` are its options.

    Raises ValueError for a loss that is not finite, and any error of the backend.
    """
    smallest = min(graphs, key=lambda graph: graph.macs)
    options = arguments.choose(declared, [])
    for phase in phases:
        settings = arguments.one_step(smallest.name, phase, BATCH, options, seed=SEED)
        job = prepare(settings, smallest, weights.for_graph(smallest, SEED))
        job.step()
        job.synchronize()
        if phase == "training" and not np.isfinite(job.loss()):
            raise ValueError("the loss of %s is %r" % (smallest.name, job.loss()))
        job.close()
    return smallest.name
