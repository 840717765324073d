"""Standard output accepts everything and remembers what it could not pass on."""

import io
import os
import sys
import threading
import time

import pytest

from orchestrator import output


@pytest.fixture
def streams(monkeypatch):
    """Give the process these streams in turn; they are put back at the end."""

    def take(out):
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", io.StringIO())
        output.open_streams()
        return sys.stdout

    return take


def pipe():
    read, write = os.pipe()
    return read, os.fdopen(write, "w", encoding="utf-8")


def test_what_is_printed_arrives(streams):
    read, write = pipe()
    print("\N{SNOWMAN}", file=streams(write), flush=True)
    assert output.lost() is None
    assert os.read(read, 100).decode() == "\N{SNOWMAN}\n"
    os.close(read)
    write.close()


def test_a_reader_that_left_is_not_a_loss(streams):
    read, write = pipe()
    os.close(read)
    out = streams(write)
    for _ in range(3):
        print("x" * 100_000, file=out, flush=True)
    assert output.lost() is None
    write.detach().detach().close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk_is_a_loss_that_interrupts_nothing(streams):
    with open("/dev/full", "w", encoding="utf-8") as full:
        out = streams(full)
        for _ in range(3):
            print("x" * 100_000, file=out, flush=True)
        assert output.lost() == "No space left on device"


def test_a_stream_that_does_not_wait_loses_nothing(streams):
    read, write = pipe()
    os.set_blocking(write.fileno(), False)
    out = streams(write)
    got = bytearray()

    def reader():
        time.sleep(0.1)
        while block := os.read(read, 65536):
            got.extend(block)

    thread = threading.Thread(target=reader)
    thread.start()
    print("x" * 1_000_000, file=out, flush=True)
    assert output.lost() is None
    write.close()
    thread.join()
    os.close(read)
    assert len(got) == 1_000_001


def test_a_stream_of_a_test_is_not_replaced(streams):
    out = io.StringIO()
    assert streams(out) is out
    assert output.lost() is None
