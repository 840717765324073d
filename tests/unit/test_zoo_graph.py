"""Drawing: shapes, names, refusals, fingerprints."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends import zoo
from backends.zoo import OPS, Graph, GraphError, resnet


@pytest.fixture
def g():
    return Graph("small", (3, 9, 8), 10)


def _flat(width=6):
    graph = Graph("flat", (width,), 10, "vector")
    return graph, graph.input


def test_shapes_follow_from_what_is_drawn(g):
    x = g.conv(g.input, 4, (3, 1), stride=(2, 1), pad=(1, 0))
    assert x.shape == (4, 5, 8)
    assert x.attrs == {
        "filters": 4,
        "kernel": (3, 1),
        "stride": (2, 1),
        "pad": (1, 0, 1, 0),
        "bias": True,
    }
    assert g.conv(g.input, 4, 3, pad=(1, 0, 0, 0)).shape == (4, 8, 6)
    assert g.concat([x, g.relu(x), x]).shape == (12, 5, 8)
    assert g.flatten(x).shape == (160,)
    assert g.sequence(x).shape == (5, 32)
    assert g.rnn(g.sequence(x), 7, 2).shape == (5, 14)
    assert g.per_step(g.sequence(x), 3).shape == (5, 3)


def test_every_node_has_exactly_the_attributes_of_its_operator():
    for name in zoo.names():
        for node in zoo.draw(name).nodes:
            assert set(node.attrs) == set(OPS[node.op]), node


@given(st.integers(2, 40), st.integers(1, 5), st.integers(1, 4))
def test_rounding_up_is_caffes_pool_size(size, kernel, stride):
    # Where kernel < stride the last window could lie wholly in the padding; Caffe clips it.
    if kernel > size or kernel < stride:
        return
    graph = Graph("pool", (1, size, size), 1)
    pool = graph.max_pool(graph.input, kernel, stride, round_up=True)
    expected = -(-(size - kernel) // stride) + 1
    assert pool.shape == (1, expected, expected)
    assert pool.attrs["pad"][:2] == (0, 0)


def test_parameters_have_canonical_names_and_layouts(g):
    x = g.batch_norm(g.conv(g.input, 4, (3, 2)), 1e-5, name="norm")
    g.rnn(g.sequence(x), 5, 2)
    arrays = {array.name: array.shape for array in g.parameters + g.statistics}
    assert arrays["conv1.weight"] == (4, 3, 3, 2)
    assert arrays["conv1.bias"] == (4,)
    assert [n for n in arrays if n.startswith("norm.")] == [
        "norm.gamma",
        "norm.beta",
        "norm.mean",
        "norm.variance",
    ]
    assert arrays["rnn1.l0_forward_weight_input"] == (5, 28)
    assert arrays["rnn1.l1_backward_weight_input"] == (5, 10)
    assert arrays["rnn1.l1_backward_weight_hidden"] == (5, 5)
    assert arrays["rnn1.l0_backward_bias_hidden"] == (5,)


def test_names_are_counted_within_their_scope(g):
    x = g.relu(g.input)
    with g.scope("a"), g.scope("b"):
        y = g.relu(g.relu(x), name="last")
    z = g.relu(y)
    assert [node.name for node in g.nodes] == ["input", "relu1", "a_b_relu1", "a_b_last", "relu2"]
    with pytest.raises(GraphError, match="relu2: the name is taken"):
        g.relu(z, name="relu2")
    with pytest.raises(GraphError, match="lower case"):
        g.relu(z, name="with.dot")


WRONG = {
    "a window larger than the image": (
        lambda g: g.conv(g.input, 4, 10),
        "conv1: window 10x10 is larger than the 9x8",
    ),
    "no filters": (lambda g: g.conv(g.input, 0, 3), "conv1: filters"),
    "a fraction of a filter": (lambda g: g.conv(g.input, 4.0, 3), "conv1: filters"),
    "a named padding": (lambda g: g.conv(g.input, 4, 3, pad="same"), "conv1: pad must be"),
    "three paddings": (lambda g: g.conv(g.input, 4, 3, pad=(1, 1, 1)), "conv1: pad must be"),
    "negative padding": (lambda g: g.conv(g.input, 4, 3, pad=-1), "conv1: pad must be"),
    "stride zero": (lambda g: g.max_pool(g.input, 3, 0), "max_pool1: stride"),
    "a kernel that is no integer": (lambda g: g.conv(g.input, 4, 3.0), "conv1: kernel"),
    "a pool of only padding": (
        lambda g: g.max_pool(g.input, 2, pad=2),
        "max_pool1: padding must be smaller",
    ),
    "dense on an image": (
        lambda g: g.dense(g.input, 4),
        r"dense1 needs a flat value, but input yields \(3, 9, 8\)",
    ),
    "a recurrent layer on an image": (lambda g: g.rnn(g.input, 4, 1), "rnn1 needs steps"),
    "a sum of different shapes": (
        lambda g: g.add(g.input, g.conv(g.input, 4, 1)),
        r"add1: shapes differ: input is \(3, 9, 8\), conv1 is \(4, 9, 8\)",
    ),
    "a join of different sizes": (
        lambda g: g.concat([g.input, g.max_pool(g.input, 2)]),
        "concat1: heights and widths differ",
    ),
    "a join of one": (lambda g: g.concat([g.input]), "concat1: needs two"),
    "epsilon zero": (lambda g: g.batch_norm(g.input, 0), "batch_norm1: eps"),
    "decay as the new share": (lambda g: g.batch_norm(g.input, 1e-5, 1.0), "batch_norm1: decay"),
    "an even LRN window": (
        lambda g: g.lrn(g.input, size=4, alpha=1e-4, beta=0.75, k=1),
        "lrn1: size",
    ),
    "dropping all": (lambda g: g.dropout(g.input, 1.0), "dropout1: rate"),
    "a factor that is text": (lambda g: g.scale(g.input, "2"), "scale1: factor"),
    "a value that is no node": (lambda g: g.relu([1]), "relu1: its input"),
    "a node of another graph": (lambda g: g.relu(_flat()[1]), "relu1: its input"),
    "too few classes": (lambda g: g.finish(g.flatten(g.input)), "not 10 classes"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_layer_fails_where_it_is_drawn(g, case):
    draw, message = WRONG[case]
    with pytest.raises(GraphError, match=message):
        draw(g)


def test_nothing_drawn_is_left_out():
    g, x = _flat()
    g.relu(x, name="forgotten")
    with pytest.raises(GraphError, match="not on the way to the output: forgotten"):
        g.finish(g.dense(x, 10))
    g, x = _flat()
    y = g.dense(x, 10)
    g.relu(y)
    with pytest.raises(GraphError, match="dense1 cannot be the output"):
        g.finish(y)


def test_bad_graphs_are_refused():
    with pytest.raises(GraphError, match="kind"):
        Graph("x", (3,), 10, "video")
    with pytest.raises(GraphError, match="bad input shape"):
        Graph("x", (3, 0, 3), 10)


def test_unknown_model():
    with pytest.raises(zoo.UnknownModel, match="unknown model 'resnet5': did you mean resnet50"):
        zoo.draw("resnet5")
    with pytest.raises(zoo.UnknownModel, match="the models are acoustic_model, alexnet"):
        zoo.draw("zzz")


# -- fingerprints --------------------------------------------------------------------------


@pytest.mark.slow
def test_fingerprints_are_distinct():
    digests = {zoo.draw(name).fingerprint for name in zoo.names()}
    assert len(digests) == len(zoo.names())
    assert all(re.fullmatch("[0-9a-f]{16}", digest) for digest in digests)


def test_names_do_not_change_the_fingerprint():
    digests = set()
    for name in (None, "other"):
        g, x = _flat()
        digests.add(g.finish(g.dense(x, 10, name=name)).fingerprint)
    assert len(digests) == 1


def _set(op, **attrs):
    def change(graph):
        next(node for node in graph.nodes if node.op == op).attrs.update(attrs)

    return change


def _average_in_c2(graph):
    next(node for node in graph.nodes if node.name == "c2_max_pool1").op = "avg_pool"


def _convolution_first(graph):
    join = next(node for node in graph.nodes if node.op == "concat")
    join.inputs = join.inputs[::-1]


def _loss(graph):
    graph.kind = "vector"


CHANGES = [
    ("alexnet", _set("lrn", k=2.0)),
    ("alexnet", _set("lrn", size=11)),
    ("alexnet", _set("lrn", alpha=1e-3)),
    ("alexnet", _set("dropout", rate=0.2)),
    ("googlenet", _set("max_pool", pad=(0, 0, 0, 0))),
    ("resnet18", _set("max_pool", pad=(1, 1, 1, 1))),
    ("resnet18", _set("batch_norm", eps=2e-5)),
    ("resnet18", _set("batch_norm", decay=0.999)),
    ("resnet50", _set("conv", bias=False)),
    ("inception3", _average_in_c2),
    ("inception4", _convolution_first),
    ("inception_resnet_v2", _set("scale", factor=0.2)),
    ("deep_mnist", _loss),
]


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_every_attribute_changes_the_fingerprint(name, change):
    graph = zoo.draw(name)
    before = graph.fingerprint
    change(graph)
    assert graph.fingerprint != before


def test_stride_and_pool1_of_resnet50_change_the_fingerprint():
    digests = set()
    for unit in (resnet.bottleneck, resnet.bottleneck_v1_5):
        for padded in (False, True):
            g = Graph("resnet", (3, 224, 224), 1000)
            drawn = resnet.resnet(g, g.input, (3, 4, 6, 3), unit, padded_pool=padded)
            digests.add(g.finish(drawn).fingerprint)
    assert len(digests) == 4
    assert zoo.draw("resnet50_v1.5").fingerprint in digests
