"""The self check's last part, the same for all backends: one model is really run."""

import numpy as np

from backends.harness import arguments
from backends.zoo import weights

BATCH = 2
SEED = 1


def run_smallest(prepare, declared, graphs, phases=("training", "inference")):
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
