"""The ceilings of a CPU: fused multiply-adds in float32, and copies in memory."""

import ctypes
import functools
import mmap
import platform
import random

from backends.harness import machine
from backends.probe import machine_code, threads

SECONDS = 3.0
SINGLE_SECONDS = 1.0
MEMINFO = "/proc/meminfo"
# Larger than what one core can cache; copied in parts, so that a round ends in time.
LARGEST_BUFFER = 256 << 20
PART = 16 << 20


def measure(emit, count=None, seconds=SECONDS):
    """Report the ceilings of `count` CPUs, all by default, as events."""
    places = threads.cpus(count)
    for name, lanes in _instructions():
        function = machine_code.Function(machine_code.loop(lanes))
        for used, time in ((places, seconds), (places[:1], min(seconds, SINGLE_SECONDS))):
            rates = threads.measure(functools.partial(multiplying, function, lanes), used, time)
            emit(
                "probe",
                what="multiply",
                device="cpu",
                dtype="float32",
                how=name,
                devices=len(used),
                unit="FLOP/s",
                **rates.fields(),
            )
    size = buffer_size(len(places))
    for used, time in ((places, seconds), (places[:1], min(seconds, SINGLE_SECONDS))):
        rates = threads.measure(functools.partial(Copying, size), used, time)
        emit(
            "probe",
            what="copy",
            device="cpu",
            how="memmove",
            devices=len(used),
            unit="bytes/s",
            bytes=size,
            **rates.fields(),
        )


def _instructions():
    """Name and lanes of the instructions that this CPU has."""
    flags = machine.cpu_flags()
    if platform.machine() != "x86_64" or not {"fma", "avx2"} <= flags:
        return []
    wide = [("AVX-512", 16)] if "avx512f" in flags else []
    return [("AVX2", 8)] + wide


def values(lanes):
    """Random numbers for the loop: zeros would take less power and show another clock."""
    found = (ctypes.c_float * (lanes * machine_code.ARRAY))()
    for i in range(lanes * machine_code.SUMS):
        found[i] = random.uniform(0.5, 2)
    for lane in range(lanes):
        factor, addend = random.uniform(1.1, 1.9), random.uniform(-1, 1)
        for register, value in (
            (machine_code.A, factor),
            (machine_code.B, addend),
            (machine_code.C, 1 / factor),
            (machine_code.D, -addend / factor),
        ):
            found[register * lanes + lane] = value
    return found


def multiplying(function, lanes):
    """Work that returns how many floating-point operations it did."""
    numbers = values(lanes)
    rounds = machine_code.MOST_ROUNDS >> 4

    def work():
        function(rounds, numbers)
        return rounds * machine_code.FMAS * lanes * 2

    return work


def buffer_size(count, path=MEMINFO):
    """Bytes of a buffer of each of `count` threads, which have two: at most a quarter of the
    available memory in all.
    """
    with open(path) as lines:
        found = dict(line.split(":", 1) for line in lines)
    available = int(found.get("MemAvailable", "4194304 kB").split()[0]) * 1024
    size = min(LARGEST_BUFFER, available // 4 // (2 * count))
    return max(PART, size // PART * PART)


class Copying(object):
    """Work that returns how many bytes it read and wrote.

    Its thread touches the memory first, which puts it near that thread's CPU.
    """

    def __init__(self, size):
        """Two buffers of `size` bytes, a multiple of `PART`."""
        buffers = [mmap.mmap(-1, size) for _ in range(2)]
        self._views = [ctypes.c_char.from_buffer(one) for one in buffers]  # keep them mapped
        self._source, self._target = (ctypes.addressof(one) for one in self._views)
        self._size = size
        self._offset = 0
        ctypes.memset(self._source, 1, size)
        ctypes.memset(self._target, 2, size)

    def __call__(self):
        """Copy the next part."""
        ctypes.memmove(self._target + self._offset, self._source + self._offset, PART)
        self._offset = (self._offset + PART) % self._size
        return 2 * PART
