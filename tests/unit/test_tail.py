import io
import os

import pytest

from orchestrator.errors import BenchdockError
from orchestrator.tail import BLOCK, Tail


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log.txt"


def test_a_file_that_is_not_there_yet(log):
    with Tail(log) as tail:
        assert list(tail.read()) == []
        assert tail.last_growth is None
        log.write_bytes(b"late")
        assert list(tail.read()) == [b"late"]


def test_only_what_is_new_is_read_in_bounded_blocks(log):
    junk = os.urandom(2 * BLOCK + 17)
    sink = io.BytesIO()
    times = iter(range(100))
    log.write_bytes(junk)
    with Tail(log, sink=sink, clock=lambda: next(times)) as tail:
        blocks = list(tail.read())
        assert [len(block) for block in blocks] == [BLOCK, BLOCK, 17]
        assert tail.last_growth == 2
        assert list(tail.read()) == []
        assert tail.last_growth == 2
        with log.open("ab") as stream:
            stream.write(b"\r\x00\xff")
        assert list(tail.read()) == [b"\r\x00\xff"]
        assert sink.getvalue() == junk + b"\r\x00\xff"
        assert tail.total == len(junk) + 3


def test_a_writer_that_never_stops_does_not_hold_the_caller(log):
    log.write_bytes(b"x" * 10)
    with Tail(log) as tail:
        got = []
        for block in tail.read():
            got.append(block)
            with log.open("ab") as stream:
                stream.write(b"y" * 10)
        assert got == [b"x" * 10]
        assert list(tail.read()) == [b"y" * 10]


def test_stopping_in_the_middle_loses_nothing(log):
    log.write_bytes(b"a" * BLOCK + b"b" * BLOCK)
    with Tail(log) as tail:
        for block in tail.read():
            assert block == b"a" * BLOCK
            break
        assert list(tail.read()) == [b"b" * BLOCK]


def test_a_file_that_became_shorter_is_an_error(log):
    log.write_bytes(b"0123456789")
    with Tail(log) as tail:
        list(tail.read())
        log.write_bytes(b"01")
        with pytest.raises(BenchdockError, match="cut from 10 to 2 bytes"):
            list(tail.read())


def test_a_file_that_was_replaced_is_an_error(log):
    log.write_bytes(b"0123456789")
    with Tail(log) as tail:
        list(tail.read())
        other = log.with_name("other")
        other.write_bytes(b"0123456789 and more")
        other.replace(log)
        with pytest.raises(BenchdockError, match="replaced"):
            list(tail.read())


def test_a_removed_file_is_read_to_its_end(log):
    log.write_bytes(b"first")
    with Tail(log) as tail, log.open("ab") as stream:
        list(tail.read())
        stream.write(b" last")
        stream.flush()
        log.unlink()
        assert list(tail.read()) == [b" last"]


def test_what_a_program_may_put_in_place_of_its_log_is_not_followed(log, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    log.symlink_to(secret)
    with Tail(log) as tail, pytest.raises(BenchdockError, match="cannot read the log"):
        list(tail.read())
    log.unlink()
    os.mkfifo(log)
    with Tail(log) as tail, pytest.raises(BenchdockError, match="not a regular file"):
        list(tail.read())


def test_closing_twice_is_harmless(log):
    log.write_bytes(b"x")
    tail = Tail(log)
    list(tail.read())
    tail.close()
    tail.close()
