"""Writes an image of the engine to a file that programs without an engine read: OCI or squashfs.

An OCI archive is a tar file of the OCI image layout (https://github.com/opencontainers/image-spec):
podman, skopeo and Apptainer read it, and Docker from 25 on. Older engines save an image in Docker's
own layout, which is rewritten here: its layers and its configuration are the same.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final, Protocol

from orchestrator.errors import ImageError, MachineError
from orchestrator.paths import written_aside

_BLOCK: Final = 1024 * 1024
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_TAG: Final = "org.opencontainers.image.ref.name"
_NAME: Final = "io.containerd.image.name"
_LAYOUT: Final = "oci-layout"


class SavingEngine(Protocol):
    """The part of an engine that exports need; see `runtimes.docker.client.Engine`."""

    def save(self, reference: str) -> Iterable[bytes]:
        """Yield an image as a tar file in the engine's layout."""


def oci(engine: SavingEngine, name: str, file: Path) -> None:
    """Write an image as an OCI archive. Raises ImageError, EngineError or MachineError."""
    with _faults(file), tempfile.TemporaryFile(dir=file.parent) as saved:
        for block in engine.save(name):
            saved.write(block)
        saved.seek(0)
        with tarfile.open(fileobj=saved) as source, written_aside(file) as stream:
            if _LAYOUT in source.getnames():
                saved.seek(0)
                shutil.copyfileobj(saved, stream, _BLOCK)
            else:
                _rewritten(source, name, stream)


def enroot() -> str:
    """Return enroot, which writes squashfs files. Raises MachineError if it is missing."""
    found = shutil.which("enroot")
    if found is None:
        raise MachineError(
            "enroot is not on PATH, which writes squashfs files with an image's environment",
            hint="install it (https://github.com/NVIDIA/enroot), or use --format oci, and `podman "
            "load -i FILE` and `enroot import podman://NAME` where both are",
        )
    return found


def sqsh(name: str, file: Path) -> None:
    """Write an image of Docker as a squashfs file of enroot. Raises ImageError or MachineError."""
    program = enroot()
    with _faults(file), tempfile.TemporaryDirectory(dir=file.parent) as folder:
        made = Path(folder) / file.name
        done = subprocess.run(
            (program, "import", "--output", str(made), f"dockerd://{name}"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        lines = tuple(line for line in done.stderr.splitlines() if line.strip())
        if done.returncode or not made.exists():
            cause = lines[-1].removeprefix("[ERROR]").strip() if lines else "it said nothing"
            raise ImageError(f"enroot cannot import {name}: {cause}", details=lines[-20:])
        os.replace(made, file)


@contextmanager
def _faults(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MachineError(f"cannot write {file}: {error.strerror or error}") from None
    except (tarfile.TarError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ImageError(f"the engine saves the image in an unknown form: {error}") from None


def _rewritten(source: tarfile.TarFile, name: str, stream: IO[bytes]) -> None:
    """Write the OCI layout of the only image in an archive in Docker's layout."""
    (saved,) = json.loads(_content(source, "manifest.json"))
    config = _content(source, saved["Config"])
    diffs = json.loads(config)["rootfs"]["diff_ids"]
    if len(diffs) != len(saved["Layers"]):
        raise ValueError(f"{len(diffs)} layers in its configuration, {len(saved['Layers'])} saved")
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as target:
        layers: list[dict[str, Any]] = []
        for path, digest in zip(saved["Layers"], diffs, strict=True):
            size = source.getmember(path).size
            if digest not in {one["digest"] for one in layers}:  # empty layers are alike
                _add_layer(source, path, digest, target)
            layers.append({"mediaType": _LAYER, "digest": digest, "size": size})
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _added(target, config, _CONFIG),
            "layers": layers,
        }
        row = _added(target, _as_json(manifest), _MANIFEST)
        names = {_TAG: name.rpartition(":")[2], _NAME: name}
        index = {"schemaVersion": 2, "manifests": [{**row, "annotations": names}]}
        _add(target, "index.json", _as_json(index))
        _add(target, _LAYOUT, _as_json({"imageLayoutVersion": "1.0.0"}))


def _content(source: tarfile.TarFile, path: str) -> bytes:
    stream = source.extractfile(path)
    if stream is None:
        raise ValueError(f"{path} is not a file")
    return stream.read()


def _add_layer(source: tarfile.TarFile, path: str, digest: str, target: tarfile.TarFile) -> None:
    """Copy a layer, which is not compressed, so that its digest is that of its content."""
    member, stream = source.getmember(path), source.extractfile(path)
    if stream is None:
        raise ValueError(f"{path} is not a file")
    hashed = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    if digest != f"sha256:{hashed}":
        raise ValueError(f"{path} is not the layer {digest}")
    stream.seek(0)
    entry = tarfile.TarInfo(_blob(digest))
    entry.size = member.size
    target.addfile(entry, stream)


def _added(target: tarfile.TarFile, content: bytes, kind: str) -> dict[str, Any]:
    """Add a blob and return its descriptor."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    _add(target, _blob(digest), content)
    return {"mediaType": kind, "digest": digest, "size": len(content)}


def _add(target: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path)
    entry.size = len(content)
    target.addfile(entry, io.BytesIO(content))


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _as_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
