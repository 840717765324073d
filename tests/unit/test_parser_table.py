import io

import pytest

from orchestrator.errors import RequestError
from orchestrator.parsers import LOG_FORMATS, module, parse, parser_for
from orchestrator.parsers.contract import ParseHints, ParserModule


@pytest.mark.parametrize("program", LOG_FORMATS)
def test_every_parser_keeps_the_contract(program):
    """Rules for every program: no input, or junk, gives neither a result nor an exception."""
    parsers: ParserModule = module(program)
    assert parsers.program == program
    for junk in (b"", b"\n", b"junk", bytes(range(256)) * 20, b"images/sec: nan\n0\n"):
        parser = parsers.Parser(ParseHints(batch=8, devices=1, pattern=r"images/sec: (\S+)"))
        parser.feed(junk)
        assert len(parser.progress.last_lines) <= 10
        found = parser.finish()
        assert found.program == program
        assert found.failure is not None
        assert found.metrics == {}


def test_an_unknown_program_is_answered_with_the_nearest():
    with pytest.raises(RequestError, match="did you mean 'benchdock'"):
        parser_for("benchdok")
    with pytest.raises(RequestError, match="benchdock parse --help"):
        parse("zzz", io.BytesIO(b""))


def test_a_log_that_cannot_be_read(tmp_path):
    with pytest.raises(RequestError, match="No such file"):
        parse("benchdock", tmp_path / "absent.txt")
    with pytest.raises(RequestError, match="Is a directory"):
        parse("benchdock", tmp_path)


def test_a_path_and_a_stream_give_the_same(tmp_path):
    log = tmp_path / "log.txt"
    log.write_bytes(b"::benchdock {}\nKilled\n")
    with log.open("rb") as stream:
        assert parse("benchdock", log) == parse("benchdock", stream)
