import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.parsers.lines import (
    LINE_LIMIT,
    WINDOW,
    RecentText,
    SelectedLines,
    clean,
    clean_with_rank,
    without_rank,
)

# Few byte values, so that needles and line ends often meet block ends.
LOGS = st.lists(st.sampled_from([b"a", b"ab", b"b", b"\n", b"\r", b"\r\n", b"xyz"])).map(b"".join)


def feed(selected, blocks):
    found = []
    for block in blocks:
        found += selected.feed(block)
    return [*found, *selected.finish()]


def cut(data, places):
    bounds = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(bounds)]


def plain(data, needles):
    """Return the same by the obvious means."""
    lines = data.replace(b"\r", b"\n").split(b"\n")
    return [line for line in lines if any(needle in line for needle in needles)]


@pytest.mark.slow
@given(LOGS, st.lists(st.integers(min_value=0)))
def test_lines_are_those_of_split_however_the_log_is_cut(data, places):
    for needles in ([b"ab"], [b"ab", b"z"], [b"a", b"yz", b"b"]):
        assert feed(SelectedLines(needles), cut(data, places)) == plain(data, needles)


@pytest.mark.slow
@given(LOGS, st.lists(st.integers(min_value=0)))
def test_what_is_not_selected_is_recent(data, places):
    selected = SelectedLines([b"ab"])
    feed(selected, cut(data, places))
    rest = [line for line in data.replace(b"\r", b"\n").split(b"\n") if line and b"ab" not in line]
    assert list(selected.recent.lines(1000)) == [line.decode() for line in rest]


@given(st.lists(st.integers(min_value=0)))
def test_lines_beyond_the_limit_are_cut_however_the_log_is_cut(places):
    data = b"tag " + b"x" * 6 + b"\n" + b"tag " + b"x" * 7 + b"\n" + b"y" * 30 + b"tag\ntag\n"
    selected = SelectedLines([b"tag"], limit=10)
    assert feed(selected, cut(data, places)) == [b"tag xxxxxx", b"tag"]
    assert selected.cut == 1


def test_a_line_without_end_takes_constant_memory():
    block = b"x" * (1 << 20)
    selected = SelectedLines([b"::tag "])
    tracemalloc.start()
    try:
        for _ in range(100):
            assert list(selected.feed(block)) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * (1 << 20)
    assert feed(selected, [b"\n::tag 1\n"]) == [b"::tag 1"]


@pytest.mark.parametrize(
    "line",
    [
        b"::tag 1",
        b"::tag 1   ",
        b"\x1b[0m::tag 1\x1b[K",
        b"[1,0]<stdout>:::tag 1",
        b"[1,12]<stderr>:::tag 1",
        b"3: ::tag 1",
        b" 0: ::tag 1",
        b"    [1,0]<stdout>:::tag 1",
        b"[3]<stdout>:::tag 1",
        b"Tue Mar  3 09:08:07 2026[3]<stderr>:::tag 1",
        b"Tue Mar 13 09:08:07 2026[1,3]<stdout>:::tag 1",
        b"[prterun-node-1.local-77@1,3]<stdout>: ::tag 1",
        b"[default3]:::tag 1",
        b"[rank3]: ::tag 1",
        b"\x1b[1;32m[1,0]<stdout>:\x1b[0m::tag 1",
    ],
)
def test_colours_and_rank_prefixes_are_not_part_of_a_line(line):
    assert clean(line) == b"::tag 1"


@pytest.mark.parametrize("line", [b"x ::tag 1", b"[1]: ::tag 1", b"> ::tag 1", b"'::tag 1'"])
def test_a_quoted_line_is_not_mistaken_for_the_line(line):
    assert not clean(line).startswith(b"::tag")


def test_last_lines_are_safe_to_show_and_bounded():
    recent = RecentText()
    recent.add(b"old\n" * WINDOW)
    recent.add(b"\x1b[31mred\x1b[0m\tand\x07 \xff\x00\n\n  \n" + "müde".encode() + b"\n")
    recent.add(b"z" * 1000 + b"\n")
    shown = recent.lines(3, unfinished=b"10%\r20%")
    assert shown == ("z" * 300, "10%", "20%")
    assert recent.lines(3)[:2] == ("red     and\ufffd \ufffd\ufffd", "müde")
    assert all(character.isprintable() for line in recent.lines(1000) for character in line)


def test_memory_of_last_lines_is_bounded():
    recent = RecentText()
    for _ in range(100):
        recent.add(b"x" * 5000 + b"\n")
    assert len(recent._text) <= 2 * WINDOW + 5001


def test_an_unfinished_line_is_shown_until_it_turns_out_to_be_selected():
    selected = SelectedLines([b"::tag "], limit=LINE_LIMIT)
    assert list(selected.feed(b"one\n::ta")) == []
    assert selected.recent.lines(5, unfinished=selected.unfinished) == ("one", "::ta")
    assert list(selected.feed(b"g x")) == []
    assert selected.recent.lines(5, unfinished=selected.unfinished) == ("one",)


@pytest.mark.parametrize(
    ("prefix", "rank"),
    [
        (b"[2,5]<stdout>:", (2, 5)),
        (b"[prterun-n1-7@2,5]<stdout>: ", (2, 5)),
        (b"[5]<stderr>:", (0, 5)),
        (b"[default5]:", (0, 5)),
        (b"[rank5]: ", (0, 5)),
        (b"5: ", (0, 5)),
        (b"[gpu5]: ", None),
        (b"", None),
    ],
)
def test_a_prefix_tells_the_rank(prefix, rank):
    line, found = clean_with_rank(prefix + b"  text")
    assert found == rank
    assert line.endswith(b" text")
    assert (b"5" in line) is (prefix == b"[gpu5]: ")
    assert without_rank((prefix + b"  text").decode()) == line.decode()
