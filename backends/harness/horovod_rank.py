"""``python3 -m backends.harness.horovod_rank SCRIPT ...``: a script as a rank of Horovod.

`backends.harness.ranks` starts it on several nodes. `horovodrun` would need ssh there, and a job of
Slurm has `srun`. The ranks find each other through gloo's HTTP store, which rank 0 keeps, and which
is needed only until all are connected (horovod/common/gloo/http_store.cc in 0.28).
"""

import fcntl
import os
import runpy
import socket
import struct
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn

# linux/sockios.h: the address of an interface.
SIOCGIFADDR = 0x8915


class Store(ThreadingMixIn, TCPServer):
    """Keeps what ranks tell each other: values by path.

    Python's HTTPServer would look its own name up, which takes long if nobody answers.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port):
        TCPServer.__init__(self, ("", port), type("Handler", (_Handler,), {"values": {}}))


class _Handler(BaseHTTPRequestHandler):
    values = {}  # type: dict

    def do_GET(self):
        value = self.values.get(self.path)
        self._answer(404 if value is None else 200, value or b"")

    def do_PUT(self):
        size = int(self.headers["Content-Length"])
        self.values[self.path] = self.rfile.read(size)
        self._answer(200)

    def do_DELETE(self):
        # A rank is connected. What it told is kept: the next ranks may still ask for it.
        self._answer(200)

    def _answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Print nothing: the output is the script's."""


def serve(port):
    """Keep the store at a port as long as this process lives."""
    try:
        store = Store(port)
    except OSError as error:
        sys.exit("the ranks cannot meet at port %d: %s" % (port, error.strerror))
    threading.Thread(target=store.serve_forever, daemon=True).start()
    return store


def variables(told):
    """What Horovod wants to know of a rank, from what `backends.harness.ranks` says."""
    rank, size = int(told["RANK"]), int(told["WORLD_SIZE"])
    here = int(told["LOCAL_WORLD_SIZE"])
    wanted = {
        "HOROVOD_RANK": rank,
        "HOROVOD_SIZE": size,
        "HOROVOD_LOCAL_RANK": told["LOCAL_RANK"],
        "HOROVOD_LOCAL_SIZE": here,
        "HOROVOD_CROSS_RANK": rank // here,
        "HOROVOD_CROSS_SIZE": size // here,
        # Only a name: ranks of the same name are on the same node.
        "HOROVOD_HOSTNAME": "node-%d" % (rank // here),
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": told["MASTER_ADDR"],
        "HOROVOD_GLOO_RENDEZVOUS_PORT": told["MASTER_PORT"],
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
    }
    interface = told.get("HOROVOD_GLOO_IFACE") or interface_to(told["MASTER_ADDR"])
    if interface:
        wanted["HOROVOD_GLOO_IFACE"] = interface
    return {name: str(value) for name, value in wanted.items()}


def interface_to(address):
    """The network interface that reaches an address, "" if it is not known.

    Without one, gloo uses the address of the own name, which may be unknown or of another network.
    """
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as one:
        try:
            one.connect((address, 9))  # sends nothing
        except OSError:
            return ""
        own = socket.inet_aton(one.getsockname()[0])
        for _, name in socket.if_nameindex():
            asked = struct.pack("256s", name.encode())
            try:
                found = fcntl.ioctl(one.fileno(), SIOCGIFADDR, asked)
            except OSError:  # it has no address
                continue
            if found[20:24] == own:
                return name
    return ""


def why_apart(address):
    """Why this node's ranks cannot meet those of others through an address, "" if they can.

    Horovod 0.28 opens further connections at the address of the node's own name, whatever the
    interface (InitializeForProcessSet in horovod/common/gloo/gloo_context.cc), and aborts if there
    is none. Debian gives the own name an address that other nodes cannot reach.
    """
    name = socket.gethostname()
    try:
        (_, _, _, _, own), *_ = socket.getaddrinfo(name, None, 0, socket.SOCK_STREAM)
    except socket.gaierror:
        return "Horovod needs an address of %s: add this node's name to its /etc/hosts" % name
    if _is_loopback(own[0]) and not _is_loopback(_resolved(address)):
        return (
            "Horovod on other nodes cannot reach %s at %s: give this node's name an address of its "
            "network in its /etc/hosts" % (name, own[0])
        )
    return ""


def _resolved(host):
    try:
        return socket.gethostbyname(host)
    except socket.gaierror:
        return ""


def _is_loopback(address):
    return address.startswith("127.") or address == "::1"


def main(argv):
    """Run the script as a rank."""
    told = variables(os.environ)
    fault = why_apart(told["HOROVOD_GLOO_RENDEZVOUS_ADDR"])
    if fault:
        sys.exit(fault)
    os.environ.update(told)
    if told["HOROVOD_RANK"] == "0":
        serve(int(told["HOROVOD_GLOO_RENDEZVOUS_PORT"]))
    sys.argv[:] = argv
    sys.path[0] = os.path.dirname(os.path.abspath(argv[0]))
    runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
