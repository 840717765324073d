"""Several processes of a backend: what they are told, and what becomes of them if one fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backends.harness import machine, ranks
from backends.harness.ranks import Ended

ROOT = Path(__file__).parents[2]
TAG = "::benchdock "
# What is run as ranks: rank 1 does as it is told, the others go on for a minute if they must.
PROGRAM = """
import os, signal, sys, time
rank = int(os.environ["RANK"])
os.write(1, b"rank %d of %s\\n" % (rank, os.environ["WORLD_SIZE"].encode()))
if rank == 1:
    time.sleep(0.2)
    exec(sys.argv[1])
elif sys.argv[1] != "pass":
    if sys.argv[2:] == ["stubborn"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if sys.argv[2:] == ["waits"]:
        from backends.harness import ranks
        began = time.monotonic()
        ranks.wait_for_all()
        os.write(1, b"%.3f\\n" % (time.monotonic() - began))
        sys.exit()
    if sys.argv[2:] == ["loses"]:
        time.sleep(0.5)
        sys.exit(1)
    time.sleep(60)
"""


@pytest.fixture
def program(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", "PYTHONDONTWRITEBYTECODE": "1"}

    def start(*words):
        return subprocess.Popen(
            [sys.executable, "-m", "backends.harness.ranks", "3", "program", *words],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def finished(process):
    """Return status, output, events and seconds."""
    began = time.monotonic()
    out, err = process.communicate(timeout=30)
    events = [json.loads(ln[len(TAG) :]) for ln in out.splitlines() if ln.startswith(TAG)]
    return process.returncode, out + err, events, time.monotonic() - began


def test_all_ranks_run_and_end(program):
    status, printed, events, _ = finished(program("pass"))
    assert status == 0
    assert events == []
    assert sorted(printed.splitlines()) == ["rank 0 of 3", "rank 1 of 3", "rank 2 of 3"]


def test_ranks_leave_together(program):
    """The others are done at once, and wait for rank 1 all the same."""
    wait = "from backends.harness import ranks; ranks.wait_for_all()"
    status, printed, _, _ = finished(program(f"time.sleep(0.5); {wait}", "waits"))
    assert status == 0
    waited = [float(word) for word in printed.split() if word[0].isdigit() and "." in word]
    assert len(waited) == 2
    assert min(waited) > 0.4


def test_outside_of_ranks_nobody_is_waited_for(monkeypatch):
    monkeypatch.delenv(ranks.PIPE, raising=False)
    ranks.wait_for_all()


@pytest.mark.slow
@pytest.mark.parametrize("others", ["", "stubborn", "loses"])
def test_a_killed_rank_ends_the_others_and_is_named(program, others):
    status, _, events, seconds = finished(program("os.kill(os.getpid(), 9)", others))
    assert status == 128 + signal.SIGKILL
    (event,) = events
    assert event["event"] == "error"
    assert event["message"] == "rank 1 of 3 was killed by SIGKILL; the others were stopped"
    assert (event["rank"], event["signal"]) == (1, 9)
    assert seconds < 10


def test_a_rank_that_fails_has_said_why_itself(program):
    status, printed, events, seconds = finished(program("sys.exit(3)"))
    assert status == 3
    assert events == []
    assert "rank 1 of 3 ended with exit status 3" in printed
    assert seconds < 10


def test_a_signal_ends_all_ranks(program):
    process = program("time.sleep(60)")
    assert process.stdout.readline().startswith("rank ")
    process.terminate()
    status, _, events, seconds = finished(process)  # returns when nobody holds the pipe any more
    assert status == 128 + signal.SIGTERM
    assert events == []
    assert seconds < 10


@pytest.mark.parametrize("words", [[], ["0", "x"], ["two", "x"], ["2"]])
def test_wrong_words_are_a_usage(words, capsys):
    assert ranks.main(words) == 2
    assert "usage: " in capsys.readouterr().err


def killed(rank, number):
    return Ended(rank, number, 0)


@pytest.mark.parametrize(
    ("ended", "blamed"),
    [
        ([Ended(0, 0, 1), killed(1, signal.SIGKILL)], 1),  # the first lost its peer
        ([killed(1, signal.SIGSEGV), killed(0, signal.SIGABRT)], 1),
        ([Ended(1, 0, 1), killed(0, signal.SIGABRT)], 1),  # the second lost its peer
        ([killed(1, signal.SIGABRT), Ended(0, 0, 1)], 1),
        ([Ended(2, 0, 0), Ended(1, 0, 70)], 1),
    ],
)
def test_the_cause_is_blamed_not_what_follows_from_it(ended, blamed):
    assert ranks.to_blame(ended).rank == blamed


def test_every_rank_is_told_who_and_where_it_is(monkeypatch):
    monkeypatch.setenv("NCCL_SOCKET_IFNAME", "eth0")
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    told = ranks.environment(1, 2, [5000, 5001], [[0, 1], [2, 3, 5]])
    assert (told["RANK"], told["LOCAL_RANK"]) == ("1", "1")
    assert (told["WORLD_SIZE"], told["LOCAL_WORLD_SIZE"]) == ("2", "2")
    assert (told["MASTER_ADDR"], told["MASTER_PORT"]) == ("127.0.0.1", "5000")
    assert (told["GLOO_SOCKET_IFNAME"], told["NCCL_SOCKET_IFNAME"]) == ("lo", "eth0")
    assert told[ranks.CPUS] == "0-1 2-3,5"


def test_ports_are_free_and_differ():
    assert len(set(ranks.free_ports(8))) == 8


# A package of two cores with two CPUs each, numbered as Linux does on Intel's, and another package.
CORES = {0: (0, 0), 1: (0, 1), 4: (0, 0), 5: (0, 1), 2: (1, 0), 3: (1, 1), 6: (1, 0), 7: (1, 1)}


@pytest.fixture
def eight_cpus(monkeypatch, tmp_path):
    for cpu, (package, core) in CORES.items():
        (tmp_path / f"{cpu}-physical_package_id").write_text(f"{package}\n")
        (tmp_path / f"{cpu}-core_id").write_text(f"{core}\n")
    monkeypatch.setattr(machine, "TOPOLOGY", f"{tmp_path}/%d-%s")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(CORES))


@pytest.mark.parametrize(
    ("size", "shares"),
    [
        (1, [[0, 4, 1, 5, 2, 6, 3, 7]]),
        (2, [[0, 4, 1, 5], [2, 6, 3, 7]]),  # a package each
        (3, [[0, 4], [1, 5], [2, 6]]),  # equal, so that no rank is slower by that
        (4, [[0, 4], [1, 5], [2, 6], [3, 7]]),
        (9, []),
    ],
)
@pytest.mark.usefixtures("eight_cpus")
def test_ranks_get_equal_shares_of_whole_cores(size, shares):
    assert ranks.shares_of_cpus(size) == shares


@pytest.mark.parametrize(
    ("cpus", "text"), [([3], "3"), ([2, 0, 1], "0-2"), ([0, 2, 3, 9], "0,2-3,9"), ([], "")]
)
def test_cpus_are_written_as_the_kernel_does(cpus, text):
    assert machine.cpu_list(cpus) == text


@pytest.mark.usefixtures("eight_cpus")
def test_a_rank_uses_its_share(monkeypatch):
    monkeypatch.delenv(ranks.CPUS, raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert ranks.share_of_cpus() == machine.cpus()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert ranks.share_of_cpus() == max(1, machine.cpus() // 2)
    monkeypatch.setenv(ranks.CPUS, "0-3 4-7")  # then its affinity is the share already
    assert ranks.share_of_cpus() == machine.cpus()
