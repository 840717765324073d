"""Checks that dropout is active at its rate, from the gradients of the layer that follows it.

With a batch of one, the column of a dense layer's weight gradient that belongs to a feature is that
feature times the gradient of the layer's outputs: zero if, and only if, the feature was dropped. So
a job's gradients show which features it dropped, and the referee can drop the same ones and be
compared with it in everything else.
"""

import numpy as np

from backends.harness.errors import Unsupported

STEPS = 2

# Features smaller than this share of the largest show nothing. Larger ones must show it: whether a
# feature was dropped also decides what flows back through it, however small it is.
SMALL = 1e-5
# Relative to the feature's size, the column of a kept feature is as long as any other kept one's.
KEPT = 0.5

# How many standard deviations the share dropped may be off: once in 1.7 million steps by chance.
DEVIATIONS = 5.0


class Seen(object):
    """Which features of each dropout node were kept, step by step."""

    def __init__(self):
        """Nothing is seen yet."""
        self._kept = {}

    def note(self, node, telling, kept):
        """`telling` marks the features that show it, `kept` those that were kept."""
        self._kept.setdefault(node, []).append((telling, kept))

    def judge(self, found):
        """Note how far the dropped shares are off, and whether steps drop different features."""
        for node, steps in self._kept.items():
            rate = node.attrs["rate"]
            dropped = sum(int(np.sum(telling & ~kept)) for telling, kept in steps)
            count = sum(int(np.sum(telling)) for telling, _ in steps)
            spread = np.sqrt(count * rate * (1 - rate))
            off = abs(dropped - rate * count) / spread if count else float("inf")
            told = "%s, %d of %d" % (node.name, dropped, count)
            _note(found, "share dropped", told, off)
            _note(found, "same features dropped", node.name, _repeats(steps, rate))


def _note(found, what, where, off):
    """Chance is not a deviation: only what chance does not explain counts."""
    found.add(what, where, off if not off <= DEVIATIONS else 0.0, DEVIATIONS)


def _repeats(steps, rate):
    """Deviations of two steps that agree on what to drop more often than chance explains."""
    (one, first), (other, second) = steps[:2]
    both = one & other
    count, share = int(np.sum(both)), 1 - 2 * rate * (1 - rate)
    agreed = int(np.sum((first == second) & both))
    spread = np.sqrt(count * share * (1 - share))
    return max(0.0, agreed - share * count) / spread if count else float("inf")


class Masks(object):
    """The factors of each dropout node's features in one step."""

    def __init__(self, graph, gradients, seen):
        """`gradients` are the job's, by canonical name."""
        self._gradients = gradients
        self._seen = seen
        self._following = {}
        for node in graph.nodes:
            for source in node.inputs:
                if source.op == "dropout":
                    self._following[source] = node

    def mask(self, node, features):
        """As `backward.Rules` requires; `features` is (1, count)."""
        layer = self._following[node]
        if layer.op != "dense" or len(features) != 1:
            raise Unsupported(
                "the features that %s drops cannot be determined from %s" % (node.name, layer.op)
            )
        columns = self._gradients[layer.name + ".weight"].astype(np.float64)
        size = np.abs(features[0])
        telling = size > SMALL * size.max()
        lengths = np.sqrt(np.sum(columns * columns, axis=0))
        strength = np.where(telling, lengths / np.where(telling, size, 1.0), 0.0)
        strong = strength[strength > KEPT * strength.max()]
        kept = strength > KEPT * np.median(strong) if strong.size else telling & False
        self._seen.note(node, telling, kept)
        return np.where(telling, kept, True).astype(np.float64) / (1 - node.attrs["rate"])
