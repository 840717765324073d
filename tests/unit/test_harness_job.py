"""What backends share: feeding a batch per step, and telling errors apart by their words."""

import pytest

from backends.harness import errors
from backends.harness.job import Fed, Job


class Source:
    def __init__(self, fixed):
        self.fixed, self.given, self.closed = fixed, 0, False

    def next(self):
        self.given += 1
        return self.given, -self.given

    def close(self):
        self.closed = True


class Device(Job):
    released = False

    def close(self):
        self.released = True


class Working(Fed, Device):
    def __init__(self, *sources):
        super().__init__()
        self.log: list = []
        self.feeds = [(source, lambda x, y: self.log.append((x, y))) for source in sources]

    def work(self):
        self.log.append("work")


def test_a_batch_that_stays_is_not_fed_again():
    source = Source(fixed=True)
    job = Working(source)
    job.step()
    assert job.log == ["work"]
    assert source.given == 0


def test_every_step_takes_the_next_batch_of_each_source_before_it_works():
    job = Working(Source(fixed=False), Source(fixed=False))
    job.step()
    job.step()
    assert job.log == [(1, -1), (1, -1), "work", (2, -2), (2, -2), "work"]


def test_closing_ends_all_sources_and_then_leaves_the_device():
    sources = Source(fixed=False), Source(fixed=True)
    job = Working(*sources)
    job.close()
    assert [source.closed for source in sources] == [True, True]
    assert job.released


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "std::bad_alloc",
        "CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate",
        "Failed to allocate memory for requested buffer of size 400",
        "Memory allocation failed",
    ],
)
def test_every_framework_knows_the_usual_words_for_too_little_memory(message):
    assert errors.kind_by_words(RuntimeError(message)) == "out_of_memory"


def test_a_framework_adds_words_of_its_own():
    error = RuntimeError("DefaultCPUAllocator: no kernel image is available")
    assert errors.kind_by_words(error) is None
    assert errors.kind_by_words(error, unsupported=errors.GPU_WORDS) == "unsupported"
    assert errors.kind_by_words(error, ("defaultcpuallocator",), errors.GPU_WORDS) == (
        "out_of_memory"
    )


def test_a_job_that_only_reads_does_no_work():
    source = Source(fixed=False)
    job = Working(source)
    job.only_reads = True
    job.step()
    assert (source.given, job.log) == (1, [])
    assert job.waited > 0
