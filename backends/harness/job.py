"""What the loop needs of a prepared benchmark."""

import resource
import time
from collections import OrderedDict


class Job(object):
    """A prepared benchmark; a framework fills in what it does differently.

    The defaults suit one synchronous device timed by the host's clock. A framework that
    only queues work on a device must override `synchronize`, `mark` and `intervals`.
    """

    leader = True  # the one process that reports
    threads = 1
    samples = 0  # of one step, over all devices
    timing = "host clock around each step; the step ends when its result is there"

    def __init__(self):
        """Set the attributes after this."""
        self.device_names = []
        self.options = OrderedDict()  # every knob as it was really used
        self._marks = []

    def step(self):
        """Do or queue one step: forward to logits, or forward, loss, backward and update."""
        raise NotImplementedError

    def synchronize(self):
        """Return when all devices of all processes have done what was queued."""

    def mark(self, index):
        """Note the moment after everything queued so far, as number `index` of this block."""
        del self._marks[index:]
        self._marks.append(time.perf_counter())

    def intervals(self, count):
        """Seconds between neighbours of marks 0 to `count`; called after `synchronize`."""
        return [self._marks[i + 1] - self._marks[i] for i in range(count)]

    def agree(self, number):
        """The leader's number, in every process: they must decide alike."""
        return number

    def peak_memory(self):
        """Most bytes of device memory in use at a time, of the fullest device; None if unknown.

        On a CPU the device's memory is the process's.
        """
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def loss(self):
        """Loss of the last training step, None in inference."""

    def close(self):
        """Stop threads and leave process groups."""
