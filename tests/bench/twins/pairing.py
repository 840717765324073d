"""Common to all twins: our job, the timing in turn, the printed line."""

import json
import os
import time
from collections import OrderedDict

from backends import zoo
from backends.harness import arguments
from backends.zoo import weights
from tests.bench.pairs import in_turn

ROUNDS = {"inference": 25, "training": 11}
CLOCK = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter


def our_job(step, model, phase, batch, threads=None):
    """Prepare what `benchdock run` times, every option as it is chosen by default."""
    options = arguments.choose(step.OPTIONS, [])
    settings = arguments.one_step(model, phase, batch, options, threads=threads)
    graph = zoo.draw(model)
    return step.prepare(settings, graph, weights.for_graph(graph, settings.seed))


def compare(model, phase, batch, ours, twin, rounds=None):
    """Print the ratio of the two: above 1 where ours is the faster one."""
    for _ in range(2):
        ours(), twin()
    pair = in_turn(ours, twin, rounds or ROUNDS[phase], CLOCK)
    mine, theirs = pair.medians
    line = OrderedDict(
        model=model,
        phase=phase,
        batch=batch,
        ratio=1 / pair.ratio,
        ours=mine,
        twin=theirs,
        rounds=len(pair.ours),
    )
    print(json.dumps(line), flush=True)
