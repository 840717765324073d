"""A container engine that misbehaves on request: it implements Docker's HTTP API on a socket.

The real SDK talks to it, so what the SDK makes of a broken connection is tested too.
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from orchestrator.plan import Plan


@dataclass(frozen=True)
class Answer:
    """One answer, given instead of the usual one.

    `lines` are sent as a chunked stream of JSON; with `broken` the stream is never ended.
    `raw` is sent as it is, though `promised` bytes were announced.
    """

    status: int = 200
    body: Any = None
    lines: tuple[Any, ...] = ()
    broken: bool = False
    raw: bytes | None = None
    promised: int | None = None


@dataclass
class FakeContainer:
    """A container of the fake engine; it runs until `end` is called."""

    config: dict[str, Any]
    name: str
    state: dict[str, Any] = field(default_factory=lambda: state("created", False))
    output: bytes = b""
    signals: list[str] = field(default_factory=list)
    on_signal: Callable[[str], None] = lambda signal: None

    @property
    def log(self) -> Path:
        """Return the file on the host that takes what the program prints."""
        (source,) = (
            mount["Source"]
            for mount in self.config["HostConfig"]["Mounts"]
            if mount["Target"].endswith("/log.txt")
        )
        return Path(source)

    def end(self, code: int = 0, *, oom_killed: bool = False) -> None:
        self.state = state("exited", False, code, oom_killed)


def state(status: str, running: bool, code: int = 0, oom_killed: bool = False) -> dict[str, Any]:
    return {
        "Status": status,
        "Running": running,
        "ExitCode": code,
        "OOMKilled": oom_killed,
        "Error": "",
    }


def plan(**changes: Any) -> Plan:
    """Return a plan for a container of the tiny image, with these changes."""
    usual: dict[str, Any] = {
        "model": "alexnet",
        "framework": "pytorch",
        "program": "benchdock",
        "phase": "training",
        "dtype": "float32",
        "batch": 1,
        "device": "cpu",
        "steps": 1,
        "warmup": 0,
        "runtime": "docker",
        "runtime_reason": "asked",
        "image": "tiny:1",
        "argv": ("bash", "/benchdock/run/launcher.sh"),
        "script": "",
    }
    return Plan(**usual | changes)


class FakeEngine:
    """Docker as benchdock sees it. A context manager; `address` goes into DOCKER_HOST."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "engine.sock"
        self.address = f"unix://{self.socket}"
        self.headers = {"Api-Version": "1.41", "Server": "Docker/20.10.24 (linux)"}
        self.containers: dict[str, FakeContainer] = {}
        self.images: dict[str, dict[str, Any]] = {}
        self.archives: dict[str, bytes] = {}  # as `docker save` writes them
        self.requests: list[str] = []
        self.warnings: list[str] = []
        self.info: dict[str, Any] = {"SecurityOptions": ["name=seccomp,profile=default"]}
        self.on_start: Callable[[FakeContainer], None] = lambda container: None
        self.always: dict[str, Answer] = {}
        self._planned: list[tuple[str, Answer]] = []
        self._changed = threading.Condition()
        self._connections: set[socket.socket] = set()
        self._server: _Server | None = None

    def __enter__(self) -> FakeEngine:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> None:
        self._server = _Server(str(self.socket), self)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def down(self) -> None:
        """End as `kill -9` would: every connection breaks, the socket stays and refuses."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        self.break_connections()
        with self._changed:
            self._changed.notify_all()

    def break_connections(self) -> None:
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def plan(self, pattern: str, *answers: Answer) -> None:
        """Give these answers, one each, to the next requests whose "METHOD path" matches."""
        self._planned += [(pattern, answer) for answer in answers]

    def planned(self, request: str) -> Answer | None:
        for index, (pattern, answer) in enumerate(self._planned):
            if re.search(pattern, request):
                del self._planned[index]
                return answer
        return next((a for p, a in self.always.items() if re.search(p, request)), None)

    def end(self, code: int = 0, *, oom_killed: bool = False) -> None:
        """End the only container."""
        (container,) = self.containers.values()
        container.end(code, oom_killed=oom_killed)
        self.wake()

    def wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def count(self, pattern: str) -> int:
        return sum(1 for request in self.requests if re.search(pattern, request))

    def find(self, key: str) -> FakeContainer | None:
        found = (c for i, c in self.containers.items() if key in {i, c.name})
        return next(found, None)


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, path: str, engine: FakeEngine) -> None:
        self.engine = engine
        Path(path).unlink(missing_ok=True)
        super().__init__(path, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: connections are broken on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.engine._connections.add(self.connection)

    def finish(self) -> None:
        self.server.engine._connections.discard(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        engine = self.server.engine
        body = self._body()
        url = urlsplit(self.path)
        path = re.sub(r"^/v[\d.]+", "", url.path)
        request = f"{self.command} {path}"
        engine.requests.append(request)
        answer = engine.planned(request) or self._usual(request, parse_qs(url.query), body)
        if answer is not None:
            self._send(answer)

    def _body(self) -> Any:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while (size := int(self.rfile.readline(), 16)) > 0:
                self.rfile.read(size + 2)
            self.rfile.readline()
            return None
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return json.loads(raw) if raw and "json" in self.headers.get("Content-Type", "") else None

    def _usual(self, request: str, query: dict[str, list[str]], body: Any) -> Answer | None:
        engine = self.server.engine
        told = {"GET /_ping": "OK", "GET /info": engine.info}
        if request in told:
            return Answer(body=told[request])
        if request == "POST /containers/create":
            return self._create(query["name"][0], body)
        if request == "GET /containers/json":
            return Answer(body=[_listed(i, c) for i, c in engine.containers.items()])
        if found := re.match(r"(GET|POST|DELETE) /containers/([^/]+)(?:/(\w+))?$", request):
            method, key, action = found.groups()
            container = engine.find(key)
            if container is None:
                return Answer(404, {"message": f"No such container: {key}"})
            return self._on_container(method, action, container, query)
        return self._on_image(request)

    def _on_image(self, request: str) -> Answer:
        images = self.server.engine.images
        saved = re.match(r"GET /images/(.+)/get$", request)
        if saved is not None:
            return Answer(raw=self.server.engine.archives[saved[1]])
        found = re.match(r"(GET|DELETE) /images/(.+?)(/json)?$", request)
        if found is None:
            return Answer(501, {"message": f"not faked: {request}"})
        method, reference, _ = found.groups()
        if reference not in images:
            return _no_image(reference)
        return Answer(body=images[reference] if method == "GET" else [images.pop(reference)])

    def _create(self, name: str, config: dict[str, Any]) -> Answer:
        engine = self.server.engine
        if config["Image"] not in engine.images:
            return _no_image(config["Image"])
        identity = f"{len(engine.requests):064x}"
        engine.containers[identity] = FakeContainer(config, name)
        return Answer(201, {"Id": identity, "Warnings": engine.warnings})

    def _on_container(
        self, method: str, action: str | None, container: FakeContainer, query: dict[str, list[str]]
    ) -> Answer | None:
        engine = self.server.engine
        if method == "DELETE":
            container.end(137)
            engine.containers = {i: c for i, c in engine.containers.items() if c is not container}
            engine.wake()
        elif action == "start":
            container.state = state("running", True)
            engine.on_start(container)
        elif action == "json":
            config = {**container.config, "Tty": False}
            host = container.config["HostConfig"]
            return Answer(body={"State": container.state, "Config": config, "HostConfig": host})
        elif action == "kill":
            if not container.state["Running"]:
                return Answer(409, {"message": "container is not running"})
            container.signals.append(query["signal"][0])
            container.on_signal(query["signal"][0])
            engine.wake()
        elif action == "logs":
            self._stream(
                b"".join(
                    b"\x01\0\0\0" + len(part).to_bytes(4, "big") + part
                    for part in re.findall(rb"(?s).{1,4096}", container.output)
                )
            )
            return None
        elif action == "wait":
            self._wait(container)
            return None
        return Answer(204)

    def _wait(self, container: FakeContainer) -> None:
        """Send the head at once and the body at the end, as Docker does."""
        engine = self.server.engine
        mine = engine._server
        self._head(200, {"Transfer-Encoding": "chunked", "Content-Type": "application/json"})
        self.wfile.flush()
        engine.wait_until(
            lambda: not container.state["Running"] or engine._server is not mine, timeout=30
        )
        if engine._server is mine:
            self._chunk(json.dumps({"StatusCode": container.state["ExitCode"]}).encode())
            self._chunk(b"")

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in {**self.server.engine.headers, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _stream(self, data: bytes) -> None:
        self._head(200, {"Transfer-Encoding": "chunked"})
        if data:
            self._chunk(data)
        self._chunk(b"")

    def _send(self, answer: Answer) -> None:
        if answer.lines or answer.broken:
            self._head(answer.status, {"Transfer-Encoding": "chunked"})
            for line in answer.lines:
                self._chunk(json.dumps(line).encode() + b"\r\n")
            if answer.broken:
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self._chunk(b"")
            return
        raw = answer.raw
        if raw is None:
            raw = b"" if answer.status == 204 else json.dumps(answer.body).encode()
        length = len(raw) if answer.promised is None else answer.promised
        self._head(answer.status, {"Content-Length": str(length)})
        self.wfile.write(raw)
        if answer.promised is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)


def _listed(identity: str, container: FakeContainer) -> dict[str, Any]:
    return {
        "Id": identity,
        "Names": [f"/{container.name}"],
        "Labels": container.config["Labels"],
        "State": container.state["Status"],
    }


def _no_image(reference: str) -> Answer:
    return Answer(404, {"message": f"No such image: {reference}"})


def fake_image(reference: str, **config: Any) -> dict[str, Any]:
    """Return what an engine says of an image."""
    return {
        "Id": "sha256:" + "1" * 64,
        "Size": 1000,
        "RepoTags": [reference],
        "RepoDigests": [],
        "Config": config,
    }
