"""A replacement for a vendor's registry: it serves images built here, over HTTP on this machine.

Engines speak plain HTTP to registries at 127.0.0.1 without being told.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Registry:
    """A context manager; `add` gives an image a tag, and may give the tag to another one."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.served: list[str] = []
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("_", (_Handler,), {"owner": self})
        )

    def __enter__(self) -> Registry:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def add(self, name: str, tag: str, archive: Path, **labels: str) -> str:
        """Serve a root file system as an image; return its digest."""
        tar = archive.read_bytes()
        layer = gzip.compress(tar, mtime=0)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": [_digest(tar)]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob(CONFIG, json.dumps(config).encode()),
            "layers": [self._blob(LAYER, layer)],
        }
        data = json.dumps(manifest).encode()
        for reference in (tag, _digest(data)):
            self.manifests[f"/v2/{name}/manifests/{reference}"] = data
        self.served.append(_digest(data))
        return _digest(data)

    def _blob(self, kind: str, data: bytes) -> dict[str, Any]:
        self.blobs[_digest(data)] = data
        return {"mediaType": kind, "size": len(data), "digest": _digest(data)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Registry

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        kind, data = "application/json", None
        if self.path == "/v2/":
            data = b"{}"
        elif "/manifests/" in self.path:
            kind, data = MANIFEST, self.owner.manifests.get(self.path)
        elif "/blobs/" in self.path:
            kind = "application/octet-stream"
            data = self.owner.blobs.get(self.path.rpartition("/")[2])
        status = 404 if data is None else 200
        data = data or b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Docker-Content-Digest", _digest(data))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)
