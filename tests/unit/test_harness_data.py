"""Real data."""

from __future__ import annotations

import numpy as np
import pytest

from backends import zoo
from backends.harness import arguments, data
from backends.harness.errors import DataProblem

GRAPH = zoo.draw("deep_mnist")
SHAPE = (1, 28, 28)


def shard(count, first=0, dtype=np.uint8):
    x = np.zeros((count, *SHAPE), dtype)
    x[:, 0, 0, 0] = np.arange(first, first + count)
    return x, np.arange(first, first + count) % 10


def write(path, x, y):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, x=x, y=y)


def firsts(source, count):
    batches = [source.next() for _ in range(count)]
    source.close()
    return [y.tolist() for _, y in batches]


def test_shards_are_read_in_order_and_again(tmp_path):
    write(tmp_path / "b.npz", *shard(2, 3))
    write(tmp_path / "a.npz", *shard(3))
    assert firsts(data.Folder(str(tmp_path), GRAPH, 2), 4) == [[0, 1], [2, 3], [4, 0], [1, 2]]


def test_processes_take_turns(tmp_path):
    write(tmp_path / "sub" / "a.npz", *shard(8))
    assert firsts(data.Folder(str(tmp_path), GRAPH, 2, 0, 2), 2) == [[0, 1], [4, 5]]
    assert firsts(data.Folder(str(tmp_path), GRAPH, 2, 1, 2), 2) == [[2, 3], [6, 7]]


def test_bytes_are_normalised_and_floats_are_not(tmp_path):
    x, y = shard(2)
    x[1] = 255
    write(tmp_path / "a.npz", x, y)
    source = data.Folder(str(tmp_path), GRAPH, 2)
    images, labels = source.next()
    source.close()
    assert (images.dtype, labels.dtype) == (np.float32, np.int64)
    assert (images[0, 0, 5, 5], images[1, 0, 5, 5]) == (-2.0, 2.0)

    write(tmp_path / "a.npz", x.astype(np.float32), y)
    source = data.Folder(str(tmp_path), GRAPH, 2)
    assert source.next()[0].max() == 255
    source.close()


def test_pairs_of_npy_are_mapped(tmp_path):
    x, y = shard(4)
    np.save(tmp_path / "a_x.npy", x)
    np.save(tmp_path / "a_y.npy", y)
    assert firsts(data.Folder(str(tmp_path), GRAPH, 4), 1) == [[0, 1, 2, 3]]


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((2, 28, 28, 1), np.uint8), np.zeros(2, int), "deep_mnist takes (1, 28, 28)"),
        (np.zeros((2, *SHAPE)), np.zeros(2, int), "float64, not uint8 or float32"),
        (np.zeros((2, *SHAPE), np.uint8), np.zeros(3, int), "do not fit"),
        (np.zeros((2, *SHAPE), np.uint8), np.zeros(2), "do not fit"),
        (np.zeros((0, *SHAPE), np.uint8), np.zeros(0, int), "do not fit"),
        (np.zeros((2, *SHAPE), np.uint8), np.array([0, 10]), "labels must be 0 to 9"),
    ],
)
def test_shards_that_do_not_fit(tmp_path, x, y, message):
    write(tmp_path / "a.npz", x, y)
    with pytest.raises(DataProblem) as caught:
        data.Folder(str(tmp_path), GRAPH, 1)
    assert message in str(caught.value)
    assert "a.npz" in str(caught.value)


def test_folders_without_samples(tmp_path):
    with pytest.raises(DataProblem, match="no samples"):
        data.Folder(str(tmp_path), GRAPH, 1)
    with pytest.raises(DataProblem, match="not a folder"):
        data.Folder(str(tmp_path / "absent"), GRAPH, 1)
    (tmp_path / "a.npz").write_bytes(b"not a zip")
    with pytest.raises(DataProblem, match="cannot be read"):
        data.Folder(str(tmp_path), GRAPH, 1)
    (tmp_path / "a.npz").unlink()
    np.save(tmp_path / "a_x.npy", shard(2)[0])
    with pytest.raises(DataProblem, match=r"cannot be read.*a_y\.npy"):
        data.Folder(str(tmp_path), GRAPH, 1)


def test_synthetic_data_is_one_batch_that_stays():
    settings = arguments.one_step("deep_mnist", "training", 3, {}, devices=2, seed=5)
    first, second = data.source(settings, GRAPH, 0, 2), data.source(settings, GRAPH, 1, 2)
    assert first.fixed
    assert first.next() is first.next()
    assert first.next()[0].shape == (3, *SHAPE)
    assert not np.array_equal(first.next()[0], second.next()[0])


# -- parts of a step -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "fixed"), [("auto", True), ("device", True), ("pageable", False), ("pinned", False)]
)
def test_a_synthetic_batch_in_the_host_is_copied_in_each_step(place, fixed):
    graph = zoo.draw("deep_mnist")
    settings = arguments.one_step("deep_mnist", "training", 2, {"data_place": place})
    source = data.source(settings, graph)
    assert source.fixed is fixed
    assert source.next()[0] is source.next()[0]


@pytest.mark.parametrize(("measure", "fixed"), [("compute", True), ("copy", False)])
def test_one_batch_is_held(tmp_path, measure, fixed):
    write(tmp_path / "a.npz", *shard(8))
    settings = arguments.one_step("deep_mnist", "training", 2, {}, data=str(tmp_path))
    source = data.source(settings._replace(measure=measure), GRAPH)
    assert source.fixed is fixed
    assert [source.next()[1].tolist() for _ in range(2)] == [[0, 1]] * 2
    source.close()


def test_all_is_read_unless_told():
    assert arguments.one_step("deep_mnist", "training", 1, {}).measure == arguments.END_TO_END
