"""What a convolution of oneDNN does besides: found in the graph, without Caffe2."""

import pytest

from backends import zoo
from backends.caffe2.fusion import RELU, SUM, SUM_RELU, Fusion, fusions
from backends.harness.folding import foldable
from backends.zoo import Graph


def graph():
    return Graph("net", (8, 8, 8), 4)


def conv(g, x):
    return g.conv(x, 8, 3, pad=1)


def test_a_relu_that_alone_reads_a_convolution_is_part_of_it():
    g = graph()
    x = conv(g, g.input)
    y = g.relu(x)
    assert fusions(g, {}) == {x: Fusion(x, y, None, RELU), y: None}


def test_so_is_one_after_a_folded_normalization():
    g = graph()
    x = conv(g, g.input)
    n = g.batch_norm(x, 1e-5)
    y = g.relu(n)
    assert fusions(g, foldable(g)) == {x: Fusion(x, y, None, RELU), n: None, y: None}
    assert fusions(g, {}) == {}


def test_a_value_that_is_read_twice_stays_apart():
    g = graph()
    x = conv(g, g.input)
    g.add(g.relu(x), x)
    assert fusions(g, {}) == {}


def test_a_sum_is_written_where_both_its_values_are_there():
    g = graph()
    first = g.relu(conv(g, g.input))
    main = conv(g, g.relu(conv(g, first)))
    other = conv(g, first)
    total = g.add(main, other)
    last = g.relu(total)
    found = fusions(g, {})
    assert found[total] == Fusion(main, last, other, SUM_RELU)
    assert found[main] is None
    assert found[last] is None
    assert other not in found


def test_without_a_relu_the_sum_ends_with_the_addition():
    g = graph()
    first = g.max_pool(g.input, 1, 1)
    main = conv(g, g.relu(first))
    total = g.add(first, main)
    g.concat([total, g.relu(total)])
    assert fusions(g, {})[total] == Fusion(main, total, first, SUM)


def test_a_value_that_is_read_later_is_not_overwritten():
    g = graph()
    first = g.max_pool(g.input, 1, 1)
    main = conv(g, first)
    total = g.add(main, first)
    g.concat([total, g.relu(first)])
    assert fusions(g, {}) == {}


def test_the_input_is_not_overwritten():
    g = graph()
    g.add(conv(g, g.input), g.input)
    assert fusions(g, {}) == {}


def test_a_reader_that_is_written_later_counts_where_it_is_written():
    """`late` is drawn before the sum that would overwrite its input, but written after it."""
    g = graph()
    first = g.max_pool(g.input, 1, 1)
    late = conv(g, first)
    main = conv(g, first)
    total = g.add(main, first)
    last = g.add(late, total)
    found = fusions(g, {})
    assert total not in found
    assert found[last] == Fusion(late, last, total, SUM)


def test_uneven_padding_is_left_to_the_plain_operators():
    g = graph()
    g.relu(g.conv(g.input, 8, 2, pad=(0, 0, 1, 1)))
    assert fusions(g, {}) == {}


@pytest.mark.parametrize(("name", "sums"), [("resnet50", 16), ("resnet18", 8), ("vgg16", 0)])
def test_the_zoo(name, sums):
    drawn = zoo.draw(name)
    found = [fusion for fusion in fusions(drawn, foldable(drawn)).values() if fusion]
    convs = [node for node in drawn.nodes if node.op == "conv"]
    assert len([fusion for fusion in found if fusion.addend]) == sums
    projections = len(convs) - len(found)
    assert projections == {"resnet50": 4, "resnet18": 4, "vgg16": 0}[name]
