"""``python3 -m backends.harness.ranks N MODULE ...``: a program as N processes, its ranks.

Every rank gets the variables that PyTorch's own launchers set, with a fixed address and ports of
this machine: nothing has to be looked up, so it works in a container without network, which does
not know its own name. Nothing is needed but Python, so it works with every release.

With ``BENCHDOCK_NODES`` and as a task of `srun` on each of so many nodes, the N ranks are divided
among the nodes and meet at the first one, by the name or address that Slurm has for it.

If a rank fails, the others wait for it in their next exchange. They are stopped, and the first one
that was killed by a signal is reported; one that ends with an exit status has reported its error.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import OrderedDict, namedtuple

from backends import near_cpus
from backends.harness import events, machine

ADDRESS = "127.0.0.1"
CPUS = "BENCHDOCK_RANK_CPUS"
PORTS = "BENCHDOCK_RANK_PORTS"
PIPE = "BENCHDOCK_RANK_PIPE"
NODES = "BENCHDOCK_NODES"
# Below the ports that Linux gives to programs by itself, so that it is most likely free.
FIRST_PORT, PORT_COUNT = 20000, 12000

# Seconds in which the other ranks may fail by themselves and say why, and then end when told to.
LAST_WORDS = 2.0
GRACE = 2.0
POLL = 0.05

Ended = namedtuple("Ended", "rank signal code")
Ended.__doc__ = """How a rank ended: the signal that killed it, else 0 and its exit status."""


Node = namedtuple("Node", "count number address port")
Node.__doc__ = """This node: which of how many, and where the first rank of all listens.

The port is None on a single node: a free one is looked for.
"""


class Stopped(Exception):  # noqa: N818 - not an error
    """A signal asks to end."""


def main(argv, emit=None):
    """Start the ranks and wait for them; return the exit status."""
    if len(argv) < 2 or not argv[0].isdigit() or int(argv[0]) < 1:
        sys.stderr.write("usage: python3 -m backends.harness.ranks N MODULE ARGUMENTS...\n")
        return 2
    size, words = int(argv[0]), argv[1:]
    here = node(os.environ)
    if size % here.count:
        sys.stderr.write("%d ranks cannot be divided among %d nodes\n" % (size, here.count))
        return 2
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _stop)
    running = OrderedDict()  # type: OrderedDict
    try:
        start(size, words, running, here)
        failed = first_failure(running)
        if failed is None:
            return 0
        if failed.signal:
            (emit or events.Emitter())("error", **report(failed, size))
            return 128 + failed.signal
        sys.stderr.write(
            "rank %d of %d ended with exit status %d\n" % (failed.rank, size, failed.code)
        )
        return failed.code
    except Stopped as stopped:
        return 128 + stopped.args[0]
    finally:
        stop(running)


def _stop(number, _frame):
    raise Stopped(number)


def node(told):
    """The `Node` that the variables of a process describe."""
    count = int(told.get(NODES, "1"))
    if count == 1:
        return Node(1, 0, ADDRESS, None)
    job, step = int(told["SLURM_JOB_ID"]), int(told["SLURM_STEP_ID"])
    port = FIRST_PORT + (131 * job + 17 * step) % PORT_COUNT
    address = address_of(first_host(told["SLURM_STEP_NODELIST"]))
    return Node(count, int(told["SLURM_PROCID"]), address, port)


def first_host(listed):
    """The first name of Slurm's list of hosts: n[07-09,12],m3 begins with n07."""
    first = re.match(r"(?:[^,\[]|\[[^\]]*\])+", listed).group()
    return re.sub(r"\[(\d+)[^\]]*\]", r"\1", first)


def address_of(host):
    """The name of a host if it can be looked up, else the address that Slurm itself uses."""
    try:
        socket.getaddrinfo(host, None)
        return host
    except socket.gaierror:
        pass
    try:
        said = subprocess.check_output(["scontrol", "--oneliner", "show", "node", host])
    except (OSError, subprocess.CalledProcessError):
        return host
    found = re.search(r" NodeAddr=(\S+)", said.decode("utf-8", "replace"))
    return found.group(1) if found else host


def start(size, words, running, here=Node(1, 0, ADDRESS, None)):  # noqa: B008 - a constant
    """Start the ranks of this node, each on its share of the CPUs.

    `size` counts those of all nodes; `running` gets their numbers by process id.
    """
    size_here = size // here.count
    ports = free_ports(size_here) if here.port is None else [here.port]
    shares = shares_of_cpus(size_here)
    before = os.sched_getaffinity(0)
    command = [sys.executable, "-m"] + words
    pipe = os.pipe()
    for end in pipe:
        os.set_inheritable(end, True)
    for rank in range(size_here):
        if shares:
            os.sched_setaffinity(0, shares[rank])
        told = dict(os.environ, **environment(rank, size, ports, shares, here))
        told[PIPE] = "%d,%d" % pipe
        process = os.spawnve(os.P_NOWAIT, sys.executable, command, told)
        running[process] = here.number * size_here + rank
    os.sched_setaffinity(0, before)
    for end in pipe:
        os.close(end)


def wait_for_all():
    """Return when every rank has called this or ended; at once outside of ranks.

    What a framework exchanged last may still be fetched from a rank that is done with it. Nobody
    writes to the pipe: it ends when no rank has its end for writing any more.
    """
    ends = os.environ.pop(PIPE, "")
    if ends:
        reading, writing = map(int, ends.split(","))
        os.close(writing)
        os.read(reading, 1)


def nodes():
    """On how many nodes the ranks are."""
    return int(os.environ.get(NODES, "1"))


def environment(rank, size, ports, shares=(), here=Node(1, 0, ADDRESS, None)):  # noqa: B008
    """The variables of one rank, beside those of the user, which win where nobody else decides.

    `rank` is that on this node, `size` counts the ranks of all nodes.
    """
    size_here = size // here.count
    told = {
        "RANK": str(here.number * size_here + rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(size),
        "LOCAL_WORLD_SIZE": str(size_here),
        "MASTER_ADDR": here.address,
        "MASTER_PORT": str(ports[0]),
        PORTS: ",".join(map(str, ports)),
    }
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME") if here.count == 1 else ():
        # There may be no other interface, and NCCL uses this one only if it is named.
        told[name] = os.environ.get(name, "lo")
    if shares:  # those of the other nodes, which are alike
        told[CPUS] = " ".join([machine.cpu_list(share) for share in shares] * here.count)
    return told


def free_ports(count):
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((ADDRESS, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def shares_of_cpus(size):
    """Equal shares of whole cores, near the ranks' devices if it is known which those are.

    In the order of the cores if that is not possible; none if there are more ranks than CPUs.
    """
    cpus, near = machine.cpus_by_core(), _near()
    found = near_cpus.shares(near, cpus) if len(near) == size else []
    return found or near_cpus.shares([frozenset(cpus)] * size, cpus)


def _near():
    return [near_cpus.numbers(text) for text in os.environ.get(near_cpus.VARIABLE, "").split()]


def take_share():
    """Bind this process to its share if Open MPI has started it beside others; see `start`."""
    size = int(os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE", "1"))
    shares = shares_of_cpus(size) if size > 1 else []
    if shares:
        os.sched_setaffinity(0, shares[int(os.environ["OMPI_COMM_WORLD_LOCAL_RANK"])])
        os.environ[CPUS] = " ".join(map(machine.cpu_list, shares))


def doubts():
    """Sentences about ranks that are not near their devices."""
    bound = [near_cpus.numbers(text) for text in cpus_of_ranks()]
    if all(cpus <= near for cpus, near in zip(bound, _near())):
        return []
    return ["the CPUs near the GPUs may not be used here: the ranks have CPUs in order"]


def cpus_of_ranks():
    """The CPUs of each rank, such as "0-3"; none outside of ranks, and if they have no shares."""
    return os.environ.get(CPUS, "").split()


def share_of_cpus():
    """How many CPUs this rank may use; outside of ranks all of the process."""
    ranks = 1 if cpus_of_ranks() else int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, machine.cpus() // ranks)


def first_failure(running):
    """Wait for all ranks; return the `Ended` to blame if one fails, None if none does."""
    while running:
        ended = _reaped(running, os.wait())
        if ended is not None and (ended.signal or ended.code):
            return to_blame([ended] + _last_words(running))
    return None


def _reaped(running, found):
    """Take a rank out of those that run; None for a process that is not a rank."""
    pid, status = found
    rank = running.pop(pid, None)
    if rank is None:
        return None
    if os.WIFSIGNALED(status):
        return Ended(rank, os.WTERMSIG(status), 0)
    return Ended(rank, 0, os.WEXITSTATUS(status))


def _last_words(running):
    """The ranks that end soon after the first failure, in their order."""
    ended, deadline = [], time.time() + LAST_WORDS
    while running and time.time() < deadline:
        found = os.waitpid(-1, os.WNOHANG)
        if found[0] == 0:
            time.sleep(POLL)
            continue
        one = _reaped(running, found)
        ended += [] if one is None else [one]
    return ended


def to_blame(ended):
    """The failure that explains the others, from ranks in the order in which they ended.

    Those that lose a rank raise an error or abort.
    """
    killed = [one for one in ended if one.signal not in (0, signal.SIGABRT)]
    failed = [one for one in ended if one.signal or one.code]
    return (killed or failed)[0]


def report(failed, size):
    """The error event of a rank that was killed."""
    name = signal.Signals(failed.signal).name
    message = "rank %d of %d was killed by %s; the others were stopped" % (failed.rank, size, name)
    return {"kind": "internal", "message": message, "rank": failed.rank, "signal": failed.signal}


def stop(running):
    """End the ranks that still run."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in running:
            os.kill(pid, number)
        deadline = time.time() + GRACE
        while running and (number == signal.SIGKILL or time.time() < deadline):
            found = os.waitpid(-1, os.WNOHANG)
            if found[0] == 0:
                time.sleep(POLL)
            else:
                _reaped(running, found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
