"""Logs of old nights are compressed, and everything that reads logs reads them as before."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import compressed


@given(data=st.binary(max_size=5000))
def test_a_compressed_file_reads_as_before(tmp_path_factory: pytest.TempPathFactory, data: bytes):
    path = tmp_path_factory.mktemp("log") / "log.txt"
    path.write_bytes(data)
    os.chmod(path, 0o640)
    os.utime(path, (1e9, 2e9))
    assert compressed.compress(path)
    copy = path.with_name("log.txt.gz")
    assert list(path.parent.iterdir()) == [copy]
    assert (copy.stat().st_mode & 0o777, copy.stat().st_mtime) == (0o640, 2e9)
    with compressed.opened(path) as stream:
        assert (compressed.size(stream, 10**6), stream.read()) == (len(data), data)
    with compressed.opened(path) as stream:
        assert compressed.size(stream, 3) == min(len(data), 4)
    assert not compressed.compress(path)


def test_equal_files_have_equal_copies(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"step 1\n" * 1000)
        compressed.compress(tmp_path / name)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_a_file_whose_compression_was_killed_is_read_and_compressed_again(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"whole")
    path.with_name("log.txt.gz").write_bytes(gzip.compress(b"of a killed night"))
    with compressed.opened(path) as stream:
        assert stream.read() == b"whole"
    assert compressed.compress(path)
    with compressed.opened(path) as stream:
        assert stream.read() == b"whole"


KILLED = """
import os, signal, sys
from pathlib import Path
from orchestrator import compressed
real, left = getattr(os, sys.argv[2]), int(sys.argv[3])
def deadly(*words, **more):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*words, **more)
setattr(os, sys.argv[2], deadly)
compressed.compress(Path(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("call", "number"), [("open", 0), ("open", 1), ("fsync", 0), ("replace", 0), ("unlink", 0)]
)
def test_killed_at_any_step_nothing_is_lost(tmp_path: Path, call: str, number: int) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"fps=50\n" * 100_000)
    argv = [sys.executable, "-c", KILLED, str(path), call, str(number)]
    assert subprocess.run(argv, check=False).returncode == -signal.SIGKILL
    with compressed.opened(path) as stream:
        assert stream.read() == b"fps=50\n" * 100_000
    assert compressed.compress(path)
    with compressed.opened(path) as stream:
        assert stream.read() == b"fps=50\n" * 100_000


def test_what_a_program_left_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    link, folder = tmp_path / "log.txt", tmp_path / "engine.log"
    link.symlink_to(secret)
    folder.mkdir()
    assert not compressed.compress(link)
    assert not compressed.compress(folder)
    for path in (link, folder):
        with pytest.raises(compressed.UnreadableError), compressed.opened(path):
            pass
    assert secret.read_text() == "secret"


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:20] + b"\0" * 9 + b[29:],
                                    lambda b: b"\x1f\x8b" + b"\xff" * 30])  # fmt: skip
def test_damage_is_named(tmp_path: Path, damage) -> None:
    path = tmp_path / "log.txt.gz"
    path.write_bytes(damage(gzip.compress(os.urandom(400))))
    with (
        pytest.raises(compressed.UnreadableError, match="damaged"),
        compressed.opened(tmp_path / "log.txt") as stream,
    ):
        stream.read()
