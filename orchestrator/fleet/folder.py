"""The folder of a check: nodes write their records there, and a comparison reads them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.errors import MachineError, RequestError
from orchestrator.fleet.record import Launch, NodeRecord
from orchestrator.paths import keep_text, nodes, slug
from orchestrator.record_files import read_bytes, read_json, read_record

_LAUNCH = "launch.json"
_BEGAN = ".began"
_RECORD = ".node.json"
_LARGEST = 4 << 20
_MOST_CHECKS = 50


def new() -> Path:
    """Name the folder of a new check; names sort by time."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    return nodes() / f"{stamp}-{secrets.token_hex(3)}"


def begin(folder: Path, node: str) -> None:
    """Leave a mark that the check of a node began. Raises MachineError."""
    keep_text(folder / f"{slug(node)}{_BEGAN}", "")


def write(folder: Path, record: NodeRecord) -> Path:
    """Keep the record of a node; return its file. Raises MachineError."""
    path = folder / f"{slug(record.node)}{_RECORD}"
    keep_text(path, record.model_dump_json(indent=2, by_alias=True) + "\n")
    return path


def write_launch(folder: Path, launch: Launch) -> None:
    """Keep who was asked. Raises MachineError."""
    keep_text(folder / _LAUNCH, launch.model_dump_json(indent=2, by_alias=True) + "\n")


def began(folder: Path, node: str) -> bool:
    """Whether the check of a node began."""
    return (folder / f"{slug(node)}{_BEGAN}").exists()


def ended(folder: Path, node: str) -> bool:
    """Whether the record of a node is there."""
    return (folder / f"{slug(node)}{_RECORD}").exists()


def launch_of(folder: Path) -> Launch | None:
    """Return who was asked; None if nobody started this check on other nodes."""
    found = read_json(folder / _LAUNCH, _LARGEST)
    try:
        return Launch.model_validate(found) if found is not None else None
    except ValueError:
        return None


def records(folder: Path) -> list[NodeRecord]:
    """Return the records in a folder. Raises RequestError for a damaged one."""
    return [_read(path) for path in sorted(folder.glob(f"*{_RECORD}"))]


def given(path: Path) -> list[NodeRecord]:
    """Return the records of a folder or the one of a file. Raises RequestError."""
    if path.is_dir():
        found = records(path)
        if not found:
            raise RequestError(
                f"{path} has no record of a node",
                hint="run `benchdock check-node` on each node, and use the folders that it names",
            )
        return found
    return [_read(path)]


def newest() -> Iterator[tuple[NodeRecord, Launch | None]]:
    """Yield the newest readable record of each node that this home knows."""
    try:
        checks = sorted((one for one in nodes().iterdir() if one.is_dir()), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise MachineError(f"cannot list {nodes()}: {error.strerror}") from None
    known: set[tuple[str, str | None]] = set()
    for folder in checks[:_MOST_CHECKS]:
        launch = launch_of(folder)
        for record in _readable(folder.glob(f"*{_RECORD}")):
            if (record.node, record.machine) not in known:
                known.add((record.node, record.machine))
                yield record, launch


def _readable(paths: Iterable[Path]) -> Iterator[NodeRecord]:
    for path in sorted(paths):
        try:
            yield _read(path)
        except RequestError:
            continue


def _read(path: Path) -> NodeRecord:
    try:
        return read_record(NodeRecord, read_bytes(path, _LARGEST), str(path))
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror or error}") from None
