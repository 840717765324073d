"""A log is the same log when it is compressed or in another encoding."""

import bz2
import codecs
import gzip
import io
import lzma
import zipfile

import pytest

from orchestrator.cli import main_inner
from orchestrator.errors import RequestError
from orchestrator.parsers import ParseHints, parse
from orchestrator.parsers.encodings import text_blocks
from tests.support.vendor_samples import HOROVOD, SAMPLES, TF_CNN

ENCODINGS = {
    "UTF-8 with a mark": lambda log: codecs.BOM_UTF8 + log,
    "UTF-16, little": lambda log: codecs.BOM_UTF16_LE + log.decode().encode("utf-16-le"),
    "UTF-16, big": lambda log: codecs.BOM_UTF16_BE + log.decode().encode("utf-16-be"),
    "UTF-16, little, no mark": lambda log: log.decode().encode("utf-16-le"),
    "UTF-16, big, no mark": lambda log: log.decode().encode("utf-16-be"),
    "UTF-32": lambda log: log.decode().encode("utf-32"),
    "gzip": gzip.compress,
    "gzip of two members": lambda log: gzip.compress(log[:40]) + gzip.compress(log[40:]),
    "gzip of UTF-16": lambda log: gzip.compress(log.decode().encode("utf-16")),
    "CRLF in UTF-16": lambda log: log.decode().replace("\n", "\r\n").encode("utf-16"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_an_encoding_changes_nothing(name):
    program, log, hints, _, _ = SAMPLES[name]
    plain = parse(program, io.BytesIO(log), hints)
    for encoded in ENCODINGS.values():
        assert parse(program, io.BytesIO(encoded(log)), hints) == plain


@pytest.mark.parametrize("encode", ["UTF-16, little", "UTF-16, big, no mark", "gzip of UTF-16"])
def test_blocks_may_end_within_a_character(encode):
    log = ("1\timages/sec: 80.5\n\N{SNOWMAN}\N{GRINNING FACE}" * 60_000).encode()
    assert b"".join(text_blocks(io.BytesIO(ENCODINGS[encode](log)), "x")) == log


@pytest.mark.parametrize(
    "data", [b"", b"a", b"\x00", b"a\x00b", b"\xff", b"\xfe", b"\x1f", b"abc\n"]
)
def test_short_and_plain_logs_are_left_as_they_are(data):
    assert b"".join(text_blocks(io.BytesIO(data), "x")) == data


def test_a_gzip_file_that_is_cut_short_or_damaged_is_refused_in_one_line(tmp_path):
    log = tmp_path / "run.log.gz"
    whole = gzip.compress(TF_CNN * 50)
    for cut in (20, len(whole) // 2, len(whole) - 4):
        log.write_bytes(whole[:cut])
        with pytest.raises(RequestError, match=r"cut off after [\d,]+ bytes of text; copy it"):
            parse("tf_cnn_benchmarks", log)
    log.write_bytes(whole[:-8] + bytes(8))
    with pytest.raises(RequestError, match="is damaged after"):
        parse("tf_cnn_benchmarks", log)


def zipped(data):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("log.txt", data)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("data", "command"),
    [
        (lzma.compress(HOROVOD), "xz -dc"),
        (bz2.compress(HOROVOD), "bzip2 -dc"),
        (b"\x28\xb5\x2f\xfd" + HOROVOD, "zstd -dc"),
        (b"\x04\x22\x4d\x18" + HOROVOD, "lz4 -dc"),
        (zipped(HOROVOD), "unzip -p"),
        (b"log.txt".ljust(257, b"\0") + b"ustar" + HOROVOD, "tar -xOf"),
        (gzip.compress(b"log.txt".ljust(257, b"\0") + b"ustar" + HOROVOD), "tar -xOf"),
    ],
)
def test_another_compression_is_named_with_the_command(tmp_path, data, command):
    log = tmp_path / "packed"
    log.write_bytes(data)
    with pytest.raises(RequestError) as error:
        parse("horovod", log, ParseHints())
    assert f"`{command} {log} | benchdock parse PROGRAM -`" in str(error.value)


def test_a_compressed_log_is_read_from_standard_input(monkeypatch, capsys):
    stdin = io.TextIOWrapper(io.BytesIO(gzip.compress(HOROVOD)))
    monkeypatch.setattr("sys.stdin", stdin)
    assert main_inner(["parse", "-", "--explain"]) == 0
    shown = capsys.readouterr().out
    assert "detected a log of horovod by line 9: Total img/sec" in shown
    assert "800.0 samples/s" in shown
