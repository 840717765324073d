"""The findings of a comparison: deviations, each with its tolerance, and the worst of them."""

from collections import namedtuple

import numpy as np

Verdict = namedtuple("Verdict", "holds deviation tolerance detail")

Finding = namedtuple("Finding", "what where deviation tolerance")
Finding.__doc__ = """One thing compared.

`what` is its kind, `where` says which array or step was worst; a deviation of nan never holds.
"""


def deviation(found, reference):
    """Relative to the reference's largest magnitude; inf for another shape, nan stays nan."""
    found = np.asarray(found, dtype=np.float64)
    reference = np.asarray(reference, dtype=np.float64)
    if found.shape != reference.shape:
        return float("inf")
    largest = float(np.max(np.abs(reference)))
    return float(np.max(np.abs(found - reference))) / (largest or 1.0)


def length(array):
    """Euclidean norm, summed in float64: NumPy's own sums in the array's type."""
    return float(np.sqrt(np.sum(np.square(array, dtype=np.float64))))


def share(finding):
    """How much of its tolerance a finding uses; nan counts as more than all others."""
    used = finding.deviation / finding.tolerance
    return float("inf") if np.isnan(used) else used


class Findings(object):
    """Keeps the worst finding of each kind."""

    def __init__(self):
        """Nothing is compared yet."""
        self._worst = {}
        self._order = []

    def add(self, what, where, deviation, tolerance):
        """Note one comparison."""
        finding = Finding(what, where, float(deviation), float(tolerance))
        if what not in self._worst:
            self._order.append(what)
            self._worst[what] = finding
        elif share(finding) > share(self._worst[what]):
            self._worst[what] = finding

    def verdict(self, tolerance):
        """Compare all of it with one tolerance.

        Each deviation counts as the share of its own tolerance that it uses.
        """
        kinds = [self._worst[what] for what in self._order]
        worst = max(share(finding) for finding in kinds)
        detail = ", ".join(
            "%s %.2g%s" % (f.what, f.deviation, " (%s)" % f.where if f.where else "")
            for f in sorted(kinds, key=share, reverse=True)
        )
        return Verdict(bool(worst <= 1.0), worst * tolerance, tolerance, detail)
