"""Warm-up, blocks and sums, on a clock that only steps move."""

from __future__ import annotations

import pytest

from backends.harness import arguments, loop
from backends.harness.job import Job


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class TimedJob(Job):
    """Steps that last what they are told, and a record of when the device was waited for."""

    samples = 8

    def __init__(self, clock, duration):
        super().__init__()
        self.clock, self.duration = clock, duration
        self.steps = 0
        self.largest = 0
        self.calls: list[str] = []

    def step(self):
        self.clock.now += self.duration(self.steps) if callable(self.duration) else self.duration
        self.steps += 1
        self.calls.append("step")

    def synchronize(self):
        self.calls.append("synchronize")

    def mark(self, index):
        del self._marks[index:]
        self._marks.append(self.clock.now)
        self.largest = max(self.largest, len(self._marks))


@pytest.fixture
def clock():
    return Clock()


class Log(list):
    def __call__(self, event, **fields):
        self.append((event, fields))

    def of(self, event):
        return [fields for name, fields in self if name == event]


@pytest.fixture
def log():
    return Log()


def measure(clock, log, duration, steps, warmup=0):
    job = TimedJob(clock, duration)
    settings = arguments.one_step("m", "inference", 8, {}, steps=steps, warmup=warmup)
    return job, loop.measure(job, settings, log, clock)


@pytest.mark.parametrize(
    ("duration", "asked", "expected"),
    [
        (0.1, (5, 0.0), 5),  # steps decide
        (0.1, (5, 2.0), 20),  # seconds decide
        (3.0, (4, 2.0), 4),  # slow steps still reach their number
        (3.0, (0, 2.0), 1),
        (0.1, (0, 0.0), 0),
    ],
)
def test_warm_up_needs_steps_and_seconds(clock, log, duration, asked, expected):
    job = TimedJob(clock, duration)
    steps, seconds = asked
    loop.warm_up(job, steps, seconds, log, clock)
    done = log.of("warmup")[-1]
    assert done["steps"] == job.steps
    assert expected <= job.steps <= expected + 1  # a rounded duration may cost one step more
    assert done["seconds"] == pytest.approx(job.steps * duration)


def test_a_slow_first_step_does_not_end_warm_up(clock, log):
    job = TimedJob(clock, lambda index: 60.0 if index == 0 else 0.01)
    loop.warm_up(job, 50, 2.0, log, clock)
    assert job.steps == 50
    assert log.of("warmup")[0] == {"steps": 1, "seconds": 60.0}


def test_warm_up_reports_progress_without_flooding(clock, log):
    job = TimedJob(clock, 0.001)
    loop.warm_up(job, 10, 20.0, log, clock)
    assert 20.0 <= job.steps * 0.001 < 21.0
    assert 30 < len(log.of("warmup")) < 50


def test_blocks_last_a_second_or_more_and_share_evenly(clock, log):
    job, window = measure(clock, log, 0.03, steps=200, warmup=2)
    blocks = log.of("steps")
    assert all(block["block_seconds"] >= 0.99 for block in blocks)
    assert sum(len(block["seconds"]) for block in blocks) == 200
    assert job.steps == 202
    assert window.samples == 200 * 8
    assert window.seconds == pytest.approx(6.0)
    assert window.seconds == sum(block["block_seconds"] for block in blocks)


def test_blocks_follow_each_other_without_a_gap(clock, log):
    measure(clock, log, 0.4, steps=11, warmup=1)
    expected = 0
    for block in log.of("steps"):
        assert block["first"] == expected
        assert block["samples"] == 8
        expected += len(block["seconds"])
    assert expected == 11


def test_a_short_window_is_one_block(clock, log):
    measure(clock, log, 0.001, steps=50, warmup=1)
    assert [len(block["seconds"]) for block in log.of("steps")] == [50]


def test_block_size_adapts_to_a_device_that_slows_down(clock, log):
    measure(clock, log, lambda index: 0.01 if index < 110 else 1.0, steps=150, warmup=10)
    sizes = [len(block["seconds"]) for block in log.of("steps")]
    assert sizes[0] == 150  # less than two seconds were expected
    log.clear()
    measure(clock, log, lambda index: 0.1 if index < 20 else 2.0, steps=40, warmup=10)
    sizes = [len(block["seconds"]) for block in log.of("steps")]
    assert sizes[0] == 14  # 40 steps of 0.1 s over three blocks
    assert sizes[-1] == 1


def test_marks_are_bounded_whatever_the_number_of_steps(clock, log):
    job, _ = measure(clock, log, 1e-5, steps=100_000, warmup=5)
    assert job.largest <= loop.LARGEST_BLOCK + 1
    assert sum(len(block["seconds"]) for block in log.of("steps")) == 100_000


def test_the_device_is_synchronised_at_both_ends_and_never_inside(clock, log):
    job, _ = measure(clock, log, 0.1, steps=3, warmup=1)
    assert job.calls == [
        *("synchronize", "step", "synchronize"),
        *("synchronize", "step", "step", "step", "synchronize"),
    ]


def test_waiting_for_the_device_counts(clock, log):
    """A job that only queues: its steps cost nothing, its synchronisation everything."""

    class Queued(TimedJob):
        queued = 0

        def step(self):
            self.queued += 1

        def synchronize(self):
            self.clock.now += 0.5 * self.queued
            self.queued = 0

    assert loop.timed(Queued(clock, 0.0), 4, 0.5, log, clock).seconds == pytest.approx(2.0)


def test_all_processes_follow_the_leader(clock, log):
    """A follower whose own clock is off decides by the leader's seconds."""

    class Follower(TimedJob):
        def agree(self, number):
            return 2.0

    job = Follower(clock, 0.0)
    loop.warm_up(job, 0, 3.0, log, clock)
    assert log.of("warmup")[-1]["seconds"] == 4.0


def test_a_failing_step_leaves_what_was_measured(clock, log):
    def duration(index):
        if index == 12:
            raise MemoryError
        return 1.0

    with pytest.raises(MemoryError):
        measure(clock, log, duration, steps=20, warmup=2)
    assert sum(len(block["seconds"]) for block in log.of("steps")) == 10


class OneOfTwo(TimedJob):
    """The first of two processes; the other one starts earlier and ends later, and is slower."""

    processes = 2

    def share(self, numbers):
        began, ended, own, waited, used = numbers
        return [list(numbers), [began - 0.25, ended + 0.5, 2 * own, waited + 1, used + 3]]


def test_a_block_of_several_processes_is_all_of_their_time(clock, log):
    job = OneOfTwo(clock, 0.5)
    window = loop.timed(job, 4, 0.5, log, clock)
    blocks = log.of("steps")
    assert [block["block_seconds"] for block in blocks] == pytest.approx([1.75, 1.75])
    assert window.seconds == pytest.approx(3.5)
    assert window.samples == 4 * 8
    first = blocks[0]
    assert [rank["own"] for rank in first["ranks"]] == pytest.approx([0.5, 1.0])
    assert first["ended"] == first["ranks"][1]["ended"]
    assert first["waited"] == 1
    assert first["cpu_seconds"] >= 3


def test_one_process_reports_the_devices_that_it_drives(clock, log):
    class TwoDevices(TimedJob):
        def owns(self):
            return [0.3, 0.4]

    loop.timed(TwoDevices(clock, 0.5), 4, 0.5, log, clock)
    first = log.of("steps")[0]
    assert [rank["own"] for rank in first["ranks"]] == [0.3, 0.4]
    assert {rank["ended"] for rank in first["ranks"]} == {first["ended"]}
    assert {rank["began"] for rank in first["ranks"]} == {first["ended"] - first["block_seconds"]}


def test_one_process_has_no_ranks(clock, log):
    measure(clock, log, 0.5, steps=2)
    assert all("ranks" not in block for block in log.of("steps"))
