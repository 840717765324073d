"""``python3 -m tests.parity.losses FRAMEWORK MODEL:BATCH ...``: the losses of a benchmark's job.

Runs in the images, whichever Python they have, and prints one JSON object: model -> losses of
`STEPS` steps on the benchmark's own synthetic batch, which stays the same.
"""

import json
import sys

from backends import zoo
from backends.harness import arguments
from backends.zoo import weights
from tests.parity import table

STEPS = 20
SEED = 1  # a benchmark's, unless it is given another


def losses(step, model, batch):
    """Losses of the job that `benchdock run` times, every option at its default."""
    graph, options = zoo.draw(model), arguments.choose(step.OPTIONS, [])
    settings = arguments.one_step(model, "training", batch, options, seed=SEED)
    job = step.prepare(settings, graph, weights.for_graph(graph, SEED))
    found = []
    for _ in range(STEPS):
        job.step()
        job.synchronize()
        found.append(float(job.loss()))
    job.close()
    return found


if __name__ == "__main__":
    chosen = table.load(sys.argv[1])
    asked = [word.split(":") for word in sys.argv[2:]]
    print(json.dumps({model: losses(chosen, model, int(batch)) for model, batch in asked}))
