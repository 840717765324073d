"""What a probe reports."""


class Rates(object):
    """Rates of the rounds of a measurement, in one unit per second.

    `walls` are the same by the clock on the wall, if `rates` are by CPU time.
    """

    def __init__(self, rates, walls=()):
        """At least one."""
        self.rates = sorted(rates)
        self.walls = sorted(walls)

    def fields(self):
        """The fields of an event: the best and the median round."""
        found = {"best": self.rates[-1], "median": _median(self.rates), "rounds": len(self.rates)}
        if self.walls:
            found["wall"] = _median(self.walls)
        return found


def _median(ordered):
    return ordered[len(ordered) // 2]
