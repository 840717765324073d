"""Images as files: OCI archives from any engine's layout, squashfs files by enroot."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import main
from orchestrator.errors import ImageError, MachineError
from orchestrator.images import exporting
from tests.fakes import FakeEngine, fake_image

NAME = "benchdock/mine:1.0-abc"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


LAYERS = [tar({"a": b"lower"}), tar({}), tar({"b": b"upper"}), tar({})]
CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"Env": ["A=b"], "Labels": {"c": "d"}},
    "rootfs": {"type": "layers", "diff_ids": [digest(one) for one in LAYERS]},
}


def of_docker(**changes: bytes) -> bytes:
    """An image as engines before 25 save it."""
    config = json.dumps(CONFIG).encode()
    names = [f"{number}/layer.tar" for number in range(len(LAYERS))]
    row = {"Config": "config.json", "RepoTags": [NAME], "Layers": names}
    files = dict(zip(names, LAYERS, strict=True))
    files |= {"config.json": config, "manifest.json": json.dumps([row]).encode()}
    return tar(files | {name.replace("_", "."): text for name, text in changes.items()})


class Saving:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def save(self, reference: str) -> Any:
        assert reference == NAME
        yield from (self._content[:100], self._content[100:])


def files_of(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive}


def test_dockers_layout_becomes_an_oci_layout(tmp_path: Path) -> None:
    file = tmp_path / "mine.tar"
    exporting.oci(Saving(of_docker()), NAME, file)
    found = files_of(file)
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    for name, content in found.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/{digest(content).replace(':', '/')}"

    def blob(row: dict[str, Any]) -> bytes:
        content = found[f"blobs/{row['digest'].replace(':', '/')}"]
        assert row["size"] == len(content)
        return content

    (row,) = json.loads(found["index.json"])["manifests"]
    assert row["annotations"]["org.opencontainers.image.ref.name"] == "1.0-abc"
    manifest = json.loads(blob(row))
    assert json.loads(blob(manifest["config"])) == CONFIG
    assert [blob(one) for one in manifest["layers"]] == LAYERS
    assert [path.name for path in tmp_path.iterdir()] == ["mine.tar"]


def test_an_oci_layout_stays_as_it_is(tmp_path: Path) -> None:
    content = tar({"oci-layout": b"{}", "index.json": b"{}"})
    exporting.oci(Saving(content), NAME, tmp_path / "mine.tar")
    assert (tmp_path / "mine.tar").read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an archive" * 100,
        tar({"x": b""}),
        of_docker(manifest_json=b"[]"),
        of_docker(manifest_json=b"nonsense"),
        of_docker(config_json=json.dumps({"rootfs": {"diff_ids": []}}).encode()),
        of_docker(config_json=b"{}"),
        of_docker(**{"0/layer_tar": b"another layer"}),
        of_docker()[:2000],
    ],
)
def test_an_unknown_form_is_said_and_leaves_no_file(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="saves the image in an unknown form"):
        exporting.oci(Saving(content), NAME, tmp_path / "mine.tar")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"cannot write .*mine\.tar: No such file"):
        exporting.oci(Saving(of_docker()), NAME, tmp_path / "no" / "mine.tar")


def enroot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "enroot").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "enroot").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")


def test_enroot_writes_a_squashfs_file(tmp_path, monkeypatch) -> None:
    enroot(
        tmp_path, monkeypatch, '[ "$1 $2 $4" = "import --output dockerd://x:1" ] && echo x >"$3"'
    )
    exporting.sqsh("x:1", tmp_path / "x.sqsh")
    assert (tmp_path / "x.sqsh").read_text() == "x\n"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("tmp")]


def test_what_enroot_complains_about(tmp_path, monkeypatch) -> None:
    enroot(tmp_path, monkeypatch, "echo '[ERROR] Command not found: jq' >&2; exit 1")
    with pytest.raises(ImageError, match="enroot cannot import x:1: Command not found: jq"):
        exporting.sqsh("x:1", tmp_path / "x.sqsh")
    assert not (tmp_path / "x.sqsh").exists()


def test_without_enroot(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match=r"enroot is not on PATH.*; install it"):
        exporting.sqsh("x:1", tmp_path / "x.sqsh")


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["mine:1"], 2, "needs a format; use --format oci"),
        (["mine:1", "a", "b", "--format", "oci"], 2, "takes one image and one file, not 3 names"),
        (["mine:1", "there", "--format", "oci"], 3, "there is there already; remove it"),
        (["mine:1", "no/a.tar", "--format", "oci"], 3, "does not exist"),
        (["mine:1", "a.tar", "--format", "sqsh"], 2, "does not end in .sqsh"),
    ],
)
def test_words_that_cannot_be_right(words, status, told, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").write_text("x")
    assert main(["images", "export", *words]) == status
    assert told in capsys.readouterr().err


def test_only_an_export_has_a_format(capsys) -> None:
    assert main(["images", "list", "--format", "oci"]) == 2
    assert "--format only works with `images export`" in capsys.readouterr().err


def test_the_command(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    with FakeEngine(tmp_path) as engine:
        monkeypatch.setenv("DOCKER_HOST", engine.address)
        engine.images["mine:1"] = fake_image("mine:1")
        engine.archives["mine:1"] = of_docker()
        assert main(["images", "export", "mine:1", "--format", "oci", "--json"]) == 0
        (told,) = json.loads(capsys.readouterr().out)["export"]
        assert told["file"] == str(tmp_path / "mine-1.tar")
        assert told["bytes"] == (tmp_path / "mine-1.tar").stat().st_size
        assert "oci-layout" in files_of(tmp_path / "mine-1.tar")
