"""Records of datasets, byte by byte.

The golden bytes are those that the frameworks themselves write: Caffe 1.0,
TensorFlow 2.15 and MXNet 1.9 (`tests/engine/test_datasets.py` reads ours with them).
"""

from __future__ import annotations

import io
import struct
import tarfile
from contextlib import suppress

import pytest
from hypothesis import example as tried
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.data import datum, example, protobuf, recordio, tfrecord
from orchestrator.data.datum import Datum
from orchestrator.data.layouts import LAYOUTS, Sample
from orchestrator.data.picture import Picture
from orchestrator.data.recordio import MAGIC, Image
from orchestrator.data.sample import Prepared
from tests.support.datasets import in_recordio, in_tfrecord

joined = b"".join
JPEG = bytes.fromhex("ffd8ffd9")
GOLDEN = {
    "datum, encoded": (lambda: joined(datum.encode(Datum(JPEG, 7))), "2204ffd8ffd928073801"),
    "datum, raw": (
        lambda: joined(datum.encode(Datum(bytes(range(6)), 300, (3, 1, 2)))),
        "080310011802220600010203040528ac02",
    ),
    "tfrecord": (
        lambda: in_tfrecord(b"abc"),
        "0300000000000000b099490e6162636e57f121",
    ),
    "tfrecord, empty": (lambda: in_tfrecord(b""), "000000000000000029039807d8ea82a2"),
    "example": (
        lambda: joined(
            example.encode(
                {
                    "image/object/bbox/xmin": (),
                    "image/encoded": b"\xff\xd8",
                    "image/class/label": 1,
                }
            )
        ),
        "0a530a1a0a11696d6167652f636c6173732f6c6162656c12051a030a01010a170a0d696d6167652f656e636f"
        "64656412060a040a02ffd80a1c0a16696d6167652f6f626a6563742f62626f782f786d696e12021200",
    ),
    "recordio": (lambda: in_recordio(b"abcde"), "0a23d7ce050000006162636465000000"),
    "recordio, magic at 4": (
        lambda: in_recordio(b"abcd" + MAGIC + b"efg"),
        "0a23d7ce04000020616263640a23d7ce0300006065666700",
    ),
    "recordio, magic at 2": (
        lambda: in_recordio(b"ab" + MAGIC + b"cd"),
        "0a23d7ce0800000061620a23d7ce6364",
    ),
    "recordio, magic only": (
        lambda: in_recordio(MAGIC),
        "0a23d7ce000000200a23d7ce00000060",
    ),
    "image": (
        lambda: joined(recordio.pack(Image(b"", (3.0,), 5))),
        "000000000000404005000000000000000000000000000000",
    ),
    "image, two labels": (
        lambda: joined(recordio.pack(Image(b"", (1.0, 2.0), 5))),
        "0200000000000000050000000000000000000000000000000000803f00000040",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_records_have_the_bytes_of_the_frameworks(name):
    encode, expected = GOLDEN[name]
    assert encode().hex() == expected


words = st.lists(st.sampled_from([MAGIC, b"a", b"bc", b"\0\0\0\0"]), max_size=12).map(b"".join)


@given(st.lists(words | st.binary(max_size=40), max_size=6))
@tried([MAGIC, MAGIC * 3, b"abc" + MAGIC, b""])
def test_recordio_returns_what_was_written(records):
    stream = io.BytesIO(b"".join(map(in_recordio, records)))
    assert list(recordio.read(stream)) == records


@given(words, words)
@tried(MAGIC, b"abc" + MAGIC)
def test_a_record_in_two_parts_is_the_same_record(header, data):
    header = header[: len(header) // 4 * 4]
    assert joined(recordio.frame(header, data)) == in_recordio(header + data)
    assert joined(tfrecord.frame([header, data])) == in_tfrecord(header + data)


@given(st.lists(words, min_size=1, max_size=3), st.data())
def test_a_recordio_file_that_is_cut_off_is_noticed(records, data):
    whole = b"".join(map(in_recordio, records))
    starts = [len(b"".join(map(in_recordio, records[:count]))) for count in range(len(records))]
    cut = data.draw(st.integers(1, len(whole) - 1).filter(lambda at: at not in starts))
    with pytest.raises(recordio.RecordError):
        list(recordio.read(io.BytesIO(whole[:cut])))


@given(st.binary(max_size=50), st.lists(st.integers(0, 9999), min_size=1, max_size=3))
def test_an_image_of_recordio_is_read_back(data, labels):
    image = Image(data, tuple(map(float, labels)), 7)
    assert recordio.unpack(joined(recordio.pack(image))) == image


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.data())
def test_tfrecord_returns_what_was_written_and_notices_any_changed_byte(records, data):
    whole = b"".join(map(in_tfrecord, records))
    assert list(tfrecord.read(io.BytesIO(whole))) == records
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    with pytest.raises(tfrecord.FrameError):
        list(tfrecord.read(io.BytesIO(changed)))
    with pytest.raises(tfrecord.FrameError):
        list(tfrecord.read(io.BytesIO(whole[:-1])))


values = st.binary(max_size=20) | st.sampled_from([0, 1, 300, -1, 2**63 - 1, -(2**63)])


@given(st.lists(values, max_size=3))
def test_an_example_is_read_back(found):
    features = dict(zip(("image/encoded", "label", "\u00e4"), found, strict=False))
    assert example.decode(joined(example.encode(features))) == features


@pytest.mark.parametrize("size", [0, 1, 127, 128, 5000, 100_000])
def test_an_image_in_an_example_is_not_copied(monkeypatch, size):
    image = bytes(size)
    features: dict[str, example.Feature] = {
        "image/encoded": image,
        "image/width": 500,
        "image/format": b"JPEG",
    }
    short = joined(example.encode(features))
    monkeypatch.setattr(example, "_SHORT", -1)
    parts = example.encode(features)
    assert any(part is image for part in parts)
    assert joined(parts) == short


def test_an_example_of_other_writers_is_read():
    unpacked = protobuf.integer(1, 5)  # int64 values one by one
    entry = protobuf.data(1, b"label") + protobuf.data(2, protobuf.data(3, unpacked))
    assert example.decode(protobuf.data(1, protobuf.data(1, entry))) == {"label": 5}
    assert example.decode(joined(example.encode({"box": (1.5,), "none": ()}))) == {}


@given(st.binary(max_size=40), st.integers(-(2**31), 2**31 - 1))
def test_a_datum_is_read_back(data, label):
    assert datum.decode(joined(datum.encode(Datum(data, label)))) == Datum(data, label)
    raw = Datum(data, label, (3, 4, 5))
    assert datum.decode(joined(datum.encode(raw))) == raw


@given(st.binary(max_size=60))
def test_bytes_that_are_not_a_record_raise_only_its_error(data):
    for decode in (datum.decode, example.decode, recordio.unpack):
        with suppress(protobuf.WireError, recordio.RecordError):
            decode(data)
    with suppress(recordio.RecordError):
        list(recordio.read(io.BytesIO(data)))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\x08", "ends within a number"),
        (b"\x08" + b"\xff" * 11, "too long"),
        (b"\x22\x05ab", "cut off"),
        (b"\x0b", "unknown type"),
    ],
)
def test_a_damaged_message_says_what_is_wrong(data, says):
    with pytest.raises(protobuf.WireError, match=says):
        list(protobuf.fields(data))


def test_parts_out_of_order_are_noticed():
    last = MAGIC + struct.pack("<I", 3 << 29)
    first = MAGIC + struct.pack("<I", 1 << 29)
    for stream in (last, first + first, first):
        with pytest.raises(recordio.RecordError):
            list(recordio.read(io.BytesIO(stream)))
    with pytest.raises(recordio.RecordError, match="too short"):
        recordio.unpack(b"\x02" + bytes(23))


@pytest.mark.parametrize("size", [0, 1, 511, 512, 99_999])
def test_a_member_of_a_tar_has_the_bytes_of_tarfile(size):
    stored = Prepared(bytes(size), Picture("jpeg", 5, 4, "rgb"))
    sample = Sample(17, 123, "b/x.jpg", "b", stored, bytes(32))
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in (("00000017.jpg", bytes(size)), ("00000017.cls", b"123")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        ours = joined(LAYOUTS["webdataset"].record(sample))
        assert ours == stream.getvalue()
