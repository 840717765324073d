"""The ends of files of records: a cut is found without reading what comes before it."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.data import ends, recordio
from tests.support.datasets import in_recordio, in_tfrecord

# Parts of the formats' own marks, so that data looks like the frames around it.
PIECES = (recordio.MAGIC, bytes(4), bytes(9), struct.pack("<Q", 12), b"\xff\xd8", b"abc")
RECORDS = st.lists(st.lists(st.sampled_from(PIECES)).map(b"".join), min_size=1, max_size=5)


@pytest.fixture(autouse=True, params=[8, ends._FIRST_PIECE])
def piece(request, monkeypatch):
    monkeypatch.setattr(ends, "_FIRST_PIECE", request.param)
    monkeypatch.setattr(ends, "_GROWTH", 2)


def judged(folder, content, judge):
    path = folder / "x"
    path.write_bytes(content)
    with path.open("rb") as stream:
        return judge(stream)


def record_file(folder, content):
    return judged(folder, content, lambda stream: ends.record_io(stream, folder / "x.idx"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ends")


@given(RECORDS, st.randoms(use_true_random=False))
def test_every_cut_inside_a_record_is_found_in_record_io(folder, records, random):
    frames = [in_recordio(record) for record in records]
    whole = b"".join(frames)
    assert record_file(folder, whole) is None
    bounds = {sum(map(len, frames[:n])) for n in range(len(frames) + 1)}
    at = random.randrange(1, len(whole))
    expected = None if at in bounds else ends.CUT_OFF
    assert record_file(folder, whole[:at]) == expected


@given(RECORDS, st.randoms(use_true_random=False))
def test_every_cut_inside_a_record_is_found_in_tf_record(folder, records, random):
    pytest.importorskip("google_crc32c")
    frames = [in_tfrecord(record) for record in records]
    whole = b"".join(frames)
    assert judged(folder, whole, ends.tf_record) is None
    at = random.randrange(1, len(whole))
    found = judged(folder, whole[:at], ends.tf_record)
    bounds = {sum(map(len, frames[:n])) for n in range(1, len(frames))}
    if at in bounds:
        assert found is None
    elif not any(_looks_whole(whole[:at], start) for start in range(at)):
        assert found == ends.CUT_OFF


def _looks_whole(content, start):
    """Whether data happens to say that it is a record to the end."""
    head = content[start : start + 8]
    return len(head) == 8 and len(content) - start == 16 + struct.unpack("<Q", head)[0]


def test_an_image_of_noise_is_no_record(folder):
    noise = random.Random(1).randbytes(200_000)
    frame = in_tfrecord(noise)
    assert judged(folder, frame, ends.tf_record) is None
    assert judged(folder, frame[:-1], ends.tf_record) == ends.CUT_OFF
    frame = in_recordio(noise)
    assert record_file(folder, frame) is None
    assert record_file(folder, frame[:-4]) == ends.CUT_OFF


@pytest.mark.parametrize(
    ("cut", "listed", "says"),
    [
        (0, 3, None),
        (0, 0, None),
        (0, 2, "x.idx does not list its last records"),
        (16, 3, "the file is cut off: x.idx lists a record at 32, and it has 32 bytes"),
    ],
)
def test_an_index_shows_that_whole_records_are_missing(tmp_path, cut, listed, says):
    whole = in_recordio(b"abcde") * 3
    (tmp_path / "x.idx").write_text("".join(f"{n}\t{n * 16}\n" for n in range(listed)))
    assert record_file(tmp_path, whole[: len(whole) - cut]) == says


def test_an_index_shows_a_cut_record(tmp_path):
    (tmp_path / "x.idx").write_text("0\t0\n1\t16\n")
    with pytest.raises(recordio.RecordError, match="the file is cut off"):
        record_file(tmp_path, (in_recordio(b"abcde") * 2)[:-4])


def test_a_last_record_in_several_parts_is_whole(folder):
    frame = in_recordio(b"abcd" + recordio.MAGIC + b"efg")
    assert record_file(folder, frame) is None
    assert record_file(folder, frame[:12]) == ends.CUT_OFF
