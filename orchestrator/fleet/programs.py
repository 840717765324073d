"""The vendors' programs that measure bandwidth, if they are on this node."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import RequestError
from orchestrator.fleet.record import Source
from orchestrator.metric import Metric
from orchestrator.parsers import parse, parse_any
from orchestrator.result import Measurement
from orchestrator.units import BYTES_PER_SECOND, SECONDS

# Each takes seconds; of nvbandwidth's tests these are the links that one GPU after the other has.
_PATIENCE = 600.0
_NVBANDWIDTH = ("host_to_device_memcpy_ce", "device_to_host_memcpy_ce",
                "device_to_device_memcpy_read_ce")  # fmt: skip
_SOURCES: tuple[Source, ...] = ("nccl_tests", "nvbandwidth", "iperf3")
_COMPARED = (BYTES_PER_SECOND, SECONDS)


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program to run, and the parser of what it prints."""

    source: Source
    argv: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The figures of one report by name, or why there are none."""

    source: Source
    figures: dict[str, Metric]
    problem: str = ""


def here(gpus: int, iperf3: str | None) -> Iterator[Program]:
    """Yield the programs that are on $PATH and have something to measure on so many GPUs.

    `iperf3` is the host of a server, None without one.
    """
    if gpus and (found := shutil.which("nvbandwidth")):
        yield Program(source="nvbandwidth", argv=(found, "-j", "-t", *_NVBANDWIDTH))
    if gpus > 1 and (found := shutil.which("all_reduce_perf")):
        argv = (found, "-b", "1M", "-e", "1G", "-f", "4", "-g", str(gpus))
        yield Program(source="nccl_tests", argv=argv)
    if iperf3 is not None:
        found = shutil.which("iperf3") or "iperf3"
        yield Program(source="iperf3", argv=(found, "-c", iperf3, "-J", "-t", "5"))


def run(program: Program, log: Path) -> Reading:
    """Run a program, with its output in a file, and read that."""
    try:
        with log.open("wb") as stream:
            done = subprocess.run(
                program.argv, stdin=subprocess.DEVNULL, stdout=stream,
                stderr=subprocess.STDOUT, timeout=_PATIENCE, check=False,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        return _failed(program.source, f"it did not end within {_PATIENCE:.0f} s")
    except OSError as error:
        return _failed(program.source, f"{program.argv[0]}: {error.strerror or error}")
    return _reading(program.source, parse(program.source, log, exit_code=done.returncode))


def read(log: Path) -> Reading:
    """Read a log that the user gave. Raises RequestError if it is of no such program."""
    found = parse_any(log)
    source = next((one for one in _SOURCES if one == found.program), None)
    if source is None:
        raise RequestError(
            f"{log} is a log of {found.program}",
            hint=f"use logs of {', '.join(_SOURCES)} with --log",
        )
    return _reading(source, found)


def _reading(source: Source, found: Measurement) -> Reading:
    if found.failure is not None:
        return _failed(source, found.failure.message)
    figures = {name: one for name, one in found.metrics.items() if one.unit in _COMPARED}
    return Reading(source=source, figures=figures)


def _failed(source: Source, why: str) -> Reading:
    return Reading(source=source, figures={}, problem=f"{source}: {why}")
