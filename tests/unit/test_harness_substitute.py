"""Decisions at kinks, and the linear algebra library's threads."""

import numpy as np

from backends.harness import blas, substitute
from backends.zoo.graph import Graph


def pooled(x, **window):
    graph = Graph("tiny", x.shape[1:], 1)
    node = graph.max_pool(graph.relu(graph.input), 3, **window)
    graph.finish(graph.dense(graph.flatten(node), 1))
    return graph


def test_the_first_largest_value_of_every_window_is_found():
    x = np.random.RandomState(3).permutation(2 * 49).reshape(2, 1, 7, 7).astype(np.float32)
    for window in ({"stride": 2, "pad": 1}, {"stride": 2, "round_up": True}, {"pad": (0, 1, 2, 0)}):
        graph = pooled(x, **window)
        relu, chosen = substitute.decisions(graph, lambda node: x)
        assert (relu == (x > 0)).all()
        node = graph.nodes[2]
        (top, left), stride = node.attrs["pad"][:2], node.attrs["stride"]
        for at in np.ndindex(chosen.shape):
            first = [at[2] * stride[0] - top, at[3] * stride[1] - left]
            rows, columns = (slice(max(n, 0), n + 3) for n in first)
            assert x[at[:2]].ravel()[chosen[at]] == x[at[:2]][rows, columns].max()


def test_ties_are_all_largest_or_the_first_is():
    x = np.array([[[[2.0, 2.0, 0.0]] * 3]], dtype=np.float32)
    graph = pooled(x)
    assert substitute.decisions(graph, lambda node: x)[1].ravel().tolist() == [0]
    tied = substitute.decisions(graph, lambda node: x, every_largest=True)[1]
    assert tied.shape == (1, 1, 9, 1, 1)
    assert tied.ravel().tolist() == [True, True, False] * 3


def test_without_a_known_library_one_thread_is_told(tmp_path):
    maps = tmp_path / "maps"
    maps.write_text(
        "7f00-7f01 r-xp 00000000 08:01 42   /usr/lib/libblas.so.3\n7f02-7f03 rw-p 0 0 0\n"
    )
    assert blas.set_threads(4, str(maps)) == ("unknown", 1)
