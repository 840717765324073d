"""Work of several threads at once, each on a CPU of its own, timed together."""

import os
import threading
import time

from backends.probe.results import Rates

ROUND_SECONDS = 0.25
CALIBRATION_SECONDS = 0.05
FEWEST_ROUNDS = 3


def cpus(count):
    """The CPUs that `count` threads should use; all of this process if it is None."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[: count or len(usable)]


def measure(make_work, places, seconds):
    """`Rates` of all threads together, in units of work per second, over rounds of 0.25 s.

    `make_work()` is called in each thread and returns a function that does some work and returns
    how much it was. All start together, and a round ends when the last one has done its part.
    Seconds are of each thread's CPU time: what other programs take does not lower a ceiling.
    """
    team = _Team(make_work, places, seconds)
    threads = [threading.Thread(target=team.member, args=(place,)) for place in places]
    for one in threads:
        one.daemon = True
        one.start()
    for one in threads:
        one.join()
    if team.failures:
        raise team.failures[0]
    return Rates(team.rates, team.walls)


def _cpu_seconds():
    return time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)


class _Team(object):
    """The threads of one measurement."""

    def __init__(self, make_work, places, seconds):
        self.rates = []  # by CPU time
        self.walls = []  # by the clock on the wall
        self.failures = []
        self._make_work = make_work
        self._seconds = seconds
        self._parts = []
        self._begin = 0.0
        self._end = None
        self._over = False
        self._start = threading.Barrier(len(places), self._note_start)
        self._stop = threading.Barrier(len(places), self._note_end)

    def member(self, place):
        """What one thread does."""
        try:
            os.sched_setaffinity(0, {place})
            work = self._make_work()
            calls = self._calibrate(work)
            while not self._over:
                self._start.wait()
                begin = _cpu_seconds()
                done = sum(work() for _ in range(calls))
                self._parts.append((done, _cpu_seconds() - begin))
                self._stop.wait()
        except threading.BrokenBarrierError:
            return
        except Exception as error:  # for the thread that joins this one
            self.failures.append(error)
            self._start.abort()
            self._stop.abort()

    def _calibrate(self, work):
        """How often to call `work` in a round."""
        work()
        begin, calls, spent = _cpu_seconds(), 0, 0.0
        while spent < min(CALIBRATION_SECONDS, self._seconds):
            work()
            calls += 1
            spent = _cpu_seconds() - begin
        return max(1, int(calls * min(ROUND_SECONDS, self._seconds) / spent))

    def _note_start(self):
        self._parts = []
        self._begin = time.perf_counter()
        self._end = self._end or self._begin + self._seconds

    def _note_end(self):
        now = time.perf_counter()
        self.rates.append(sum(done / spent for done, spent in self._parts))
        self.walls.append(sum(done for done, _ in self._parts) / (now - self._begin))
        self._over = now >= self._end and len(self.rates) >= FEWEST_ROUNDS
