"""Ranks on several nodes: what `srun` starts, who they are, and how long a block lasted."""

import argparse
import http.client
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from backends.harness import horovod_rank, loop, ranks
from backends.harness.loop import Rank
from orchestrator.commands import over_nodes
from orchestrator.errors import MachineError, RequestError

ROOT = Path(__file__).parents[2]
JOB = {
    "SLURM_JOB_ID": "41",
    "SLURM_JOB_NUM_NODES": "3",
    "SLURM_NODEID": "0",
}
STEP = {
    **JOB,
    "BENCHDOCK_NODES": "2",
    "SLURM_STEP_ID": "1",
    "SLURM_STEP_NODELIST": "n[07-08]",
    "SLURM_PROCID": "1",
}


def arguments(**told):
    usual = {
        "nodes": 2, "ranks": 4, "framework": "pytorch", "runtime": "auto", "prefix": None,
    }  # fmt: skip
    return argparse.Namespace(**{**usual, **told})


def test_a_request_becomes_a_prefix_of_srun():
    runtime, prefix = over_nodes.chosen(arguments(prefix="numactl -N 0"), JOB)
    assert runtime == "host"
    assert prefix.startswith("srun --nodes=2 --relative=0 --ntasks-per-node=1 ")
    assert prefix.endswith(" --export=ALL,BENCHDOCK_NODES=2 numactl -N 0")


@pytest.mark.parametrize(
    ("told", "environment", "error", "said"),
    [
        ({"framework": "mxnet"}, {}, RequestError, "only works with pytorch and horovod_pytorch"),
        ({"ranks": None}, {}, RequestError, "add --ranks 2"),
        ({"ranks": 3}, {}, RequestError, "a multiple of 2"),
        ({"runtime": "docker"}, {}, RequestError, "use --runtime host"),
        ({}, {"SLURM_JOB_NUM_NODES": ""}, MachineError, "not in one; type it in a script for"),
        ({"nodes": 4}, {}, MachineError, "has 3 of the 4 nodes"),
        ({}, {"SLURM_NODEID": "1"}, MachineError, "not the first node of the job"),
    ],
)
def test_why_a_request_is_refused(told, environment, error, said):
    with pytest.raises(error, match=said):
        over_nodes.chosen(arguments(**told), {**JOB, **environment})


@pytest.mark.parametrize(
    ("listed", "first"),
    [
        ("n1", "n1"),
        ("n[1-2]", "n1"),
        ("n[07-09,12],m3", "n07"),
        ("gpu-a[2,4],gpu-b1", "gpu-a2"),
        ("r[0-1]n[3-4]", "r0n3"),
        ("m3,n[1-2]", "m3"),
    ],
)
def test_the_first_host_of_a_list(listed, first):
    assert ranks.first_host(listed) == first


def test_the_ranks_of_a_node(monkeypatch):
    monkeypatch.setattr(ranks, "address_of", lambda host: "address of " + host)
    here = ranks.node(STEP)
    assert (here.count, here.number, here.address) == (2, 1, "address of n07")
    assert here.port == ranks.node({**STEP, "SLURM_PROCID": "0"}).port
    assert here.port != ranks.node({**STEP, "SLURM_STEP_ID": "2"}).port
    told = ranks.environment(1, 4, [here.port], [[0], [1]], here)
    assert [told[name] for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE")] == [
        *("3", "1", "4", "2")
    ]
    assert (told["MASTER_ADDR"], told["MASTER_PORT"]) == ("address of n07", str(here.port))
    assert told[ranks.CPUS] == "0 1 0 1"
    assert "GLOO_SOCKET_IFNAME" not in told
    assert ranks.node({}) == ranks.Node(1, 0, "127.0.0.1", None)


def test_the_address_of_a_name_that_cannot_be_looked_up(monkeypatch, tmp_path):
    assert ranks.address_of("localhost") == "localhost"
    program = tmp_path / "scontrol"
    program.write_text("#!/bin/sh\necho NodeName=$4 Arch=x NodeAddr=10.1.2.3 NodeHostName=h\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert ranks.address_of("no-such-host.invalid") == "10.1.2.3"
    program.write_text("#!/bin/sh\nexit 1\n")
    assert ranks.address_of("no-such-host.invalid") == "no-such-host.invalid"


def test_each_node_starts_its_share_of_the_ranks(tmp_path):
    (tmp_path / "program.py").write_text(
        "import os\nprint(*(os.environ[name] for name in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR')))\n"
    )

    def start(number, size="4"):
        return subprocess.run(
            [sys.executable, "-m", "backends.harness.ranks", size, "program"],
            env={
                **STEP, "SLURM_PROCID": number, "SLURM_STEP_NODELIST": "localhost",
                "PYTHONPATH": f"{ROOT}:{tmp_path}",
            },
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip

    said = [sorted(start(number).stdout.splitlines()) for number in ("0", "1")]
    assert said == [
        ["0 4 localhost", "1 4 localhost"],
        ["2 4 localhost", "3 4 localhost"],
    ]
    odd = start("0", "3")
    assert odd.returncode == 2
    assert "3 ranks cannot be divided among 2 nodes" in odd.stderr


def test_clocks_of_nodes_do_not_count():
    """The second node's clock started at another time; its rank is the slower one."""
    found = loop.aligned([Rank(100.0, 101.0, 0.9, 0.0, 1.0), Rank(7.0, 8.25, 1.2, 0.0, 1.0)])
    assert [(one.began, one.ended) for one in found] == [(100.0, 101.0), (100.0, 101.25)]
    assert [one.own for one in found] == [0.9, 1.2]


def test_horovod_is_told_who_a_rank_is():
    told = ranks.environment(1, 4, [20001], (), ranks.Node(2, 1, "127.0.0.1", 20001))
    found = horovod_rank.variables(told)
    assert found == {
        "HOROVOD_RANK": "3", "HOROVOD_SIZE": "4",
        "HOROVOD_LOCAL_RANK": "1", "HOROVOD_LOCAL_SIZE": "2",
        "HOROVOD_CROSS_RANK": "1", "HOROVOD_CROSS_SIZE": "2",
        "HOROVOD_HOSTNAME": "node-1",
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": "127.0.0.1", "HOROVOD_GLOO_RENDEZVOUS_PORT": "20001",
        "HOROVOD_CONTROLLER": "gloo", "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_IFACE": "lo",
    }  # fmt: skip
    mine = horovod_rank.variables({**told, "HOROVOD_GLOO_IFACE": "ib0"})
    assert mine["HOROVOD_GLOO_IFACE"] == "ib0"


def test_an_address_that_is_not_known_names_no_interface():
    assert horovod_rank.interface_to("127.0.0.1") == "lo"
    assert horovod_rank.interface_to("no-such-host.invalid") == ""


@pytest.mark.parametrize(
    ("own", "first", "said"),
    [
        (None, "10.0.0.7", "Horovod needs an address of n08: add this node's name"),
        ("127.0.1.1", "10.0.0.7", "cannot reach n08 at 127.0.1.1: give this node's name"),
        ("127.0.1.1", "127.0.0.1", ""),
        ("10.0.0.8", "10.0.0.7", ""),
        ("10.0.0.8", None, ""),
    ],
)
def test_a_node_that_horovod_on_others_cannot_reach_says_so(monkeypatch, own, first, said):
    names = {"n08": own, "n07": first}

    def look_up(name, *_):
        if names[name] is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return names[name]

    monkeypatch.setattr(socket, "gethostname", lambda: "n08")
    monkeypatch.setattr(socket, "gethostbyname", look_up)
    found = socket.AF_INET, socket.SOCK_STREAM, 6, ""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *of: [(*found, (look_up(*of), 0))])
    told = horovod_rank.why_apart("n07")
    assert said in told
    assert bool(said) == bool(told)


def test_ranks_of_horovod_find_what_others_told():
    """What http_store.cc does: PUT, GET until it is there, DELETE at the end."""
    store = horovod_rank.serve(0)

    def ask(method, path, body=None):
        asked = http.client.HTTPConnection("127.0.0.1", store.server_address[1], timeout=5)
        asked.request(method, path, body)
        answer = asked.getresponse()
        return answer.status, answer.read()

    try:
        assert ask("GET", "/global/0") == (404, b"")
        assert ask("PUT", "/global/0", b"\0address\xff") == (200, b"")
        assert ask("GET", "/global/0") == (200, b"\0address\xff")
        assert ask("GET", "/local_node-0/0") == (404, b"")
        assert ask("DELETE", "/global/0") == (200, b"")
        with pytest.raises(SystemExit, match=r"cannot meet at port \d+: Address already in use"):
            horovod_rank.serve(store.server_address[1])
    finally:
        store.shutdown()
        store.server_close()


def test_a_script_of_horovod_runs_on_each_node_as_typed(tmp_path):
    (tmp_path / "beside.py").write_text("WORD = 'found'\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys, beside\nassert __name__ == '__main__'\n"
        "print(os.environ['HOROVOD_RANK'], beside.WORD, *sys.argv[1:])\n"
    )
    words = ("2", "backends.harness.horovod_rank", str(script), "--model=resnet18")
    said = subprocess.run(
        [sys.executable, "-m", "backends.harness.ranks", *words],
        env={**STEP, "SLURM_PROCID": "0", "SLURM_STEP_NODELIST": "localhost",
             "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True, timeout=30,
    ).stdout  # fmt: skip
    assert said == "0 found --model=resnet18\n"
