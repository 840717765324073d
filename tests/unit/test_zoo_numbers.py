"""Every network against the published figures and the counts established for the project."""

from typing import NamedTuple

import pytest

from backends import zoo


class Numbers(NamedTuple):
    """What a network must not change unnoticed. A new fingerprint makes all earlier results
    incomparable.
    """

    learnable: int
    macs: int
    dropouts: tuple[float, ...]
    fingerprint: str


# A line per network, from its paper or counted by hand, but for the fingerprint.
NETWORKS = {
    "acoustic_model": Numbers(34_678_784, 34_660_352, (), "e9c7781f5bcd3946"),
    "alexnet": Numbers(62_378_344, 1_135_256_096, (0.5, 0.5), "0f9618be696e991f"),
    "alexnet_owt": Numbers(61_100_840, 714_188_480, (0.5, 0.5), "00f47f00cf91bee3"),
    "deep_mnist": Numbers(11_972_510, 11_965_000, (), "a69826b42b696bcd"),
    "deep_speech2": Numbers(67_819_562, 5_253_492_512, (), "923dbe96aec02d13"),
    "googlenet": Numbers(6_998_552, 1_582_671_872, (0.4,), "23b284bef036479c"),
    "inception3": Numbers(23_834_568, 5_713_216_096, (0.2,), "27c368811bf190c1"),
    "inception4": Numbers(42_679_816, 12_253_974_624, (0.2,), "94e3331d6716f843"),
    "inception_resnet_v2": Numbers(55_843_464, 13_155_794_016, (0.2,), "dd30df31b72375c7"),
    "overfeat": Numbers(145_920_872, 2_801_403_904, (0.5, 0.5), "7ce456a8bb7b7696"),
    "resnet18": Numbers(11_693_736, 1_826_918_400, (), "f2dd229cf237b78f"),
    "resnet34": Numbers(21_801_896, 3_676_606_464, (), "e26daa0f4a2fb0e2"),
    "resnet50": Numbers(25_557_096, 3_857_973_248, (), "203206879ce86f2a"),
    "resnet50_v1.5": Numbers(25_557_032, 4_089_184_256, (), "3578ef413852a795"),
    "resnet101": Numbers(44_549_160, 7_570_194_432, (), "2234662b6c65203d"),
    "resnet101_v1.5": Numbers(44_549_160, 7_801_405_440, (), "22e9b72d742b0255"),
    "resnet152": Numbers(60_192_808, 11_282_415_616, (), "5a838d83b7f1928c"),
    "resnet152_v1.5": Numbers(60_192_808, 11_513_626_624, (), "5adb91fd47898af0"),
    "resnet200": Numbers(64_673_832, 14_776_270_848, (), "53f48e8f799105e3"),
    "resnet269": Numbers(102_073_384, 19_798_687_744, (), "ebeacf275ca99933"),
    "vgg11": Numbers(132_863_336, 7_609_090_048, (0.5, 0.5), "f2e2799d3a0058a6"),
    "vgg13": Numbers(133_047_848, 11_308_466_176, (0.5, 0.5), "da0518d496918d74"),
    "vgg16": Numbers(138_357_544, 15_470_264_320, (0.5, 0.5), "338cd4267707b1f4"),
    "vgg19": Numbers(143_667_240, 19_632_062_464, (0.5, 0.5), "539d21e31a275dcd"),
}
# Parameters and MB in the published table, which counts statistics too.
PUBLISHED = {
    "acoustic_model": (34_678_784, 133),
    "alexnet": (62_378_344, 238),
    "alexnet_owt": (61_100_840, 233),
    "deep_mnist": (11_972_510, 46),
    "googlenet": (6_998_552, 27),
    "inception3": (23_869_094, 91),
    "inception4": (42_743_133, 163),
    "overfeat": (145_920_872, 557),
    "resnet18": (11_703_485, 45),
    "resnet34": (21_819_085, 84),
    "resnet50": (25_610_269, 98),
    "resnet101": (44_654_608, 171),
    "resnet152": (60_344_387, 231),
    "resnet200": (64_850_035, 248),
    "resnet269": (102_326_456, 391),
    "vgg11": (132_863_336, 507),
    "vgg13": (133_047_848, 508),
    "vgg16": (138_357_544, 528),
    "vgg19": (143_667_240, 548),
}
# Values that convolutions, dense and recurrent layers put out per sample.
ELEMENTS = {
    "acoustic_model": 18_432,
    "alexnet": 659_272,
    "alexnet_owt": 494_184,
    "deep_mnist": 7_510,
    "googlenet": 3_227_160,
    "inception3": 8_968_488,
    "inception4": 15_090_184,
    "overfeat": 825_320,
    "resnet18": 2_685_416,
    "resnet34": 3_939_816,
    "resnet50": 10_588_136,
    "resnet101": 15_706_088,
    "resnet152": 22_028_264,
    "resnet200": 31_662_056,
    "resnet269": 39_640_040,
    "vgg11": 7_435_240,
    "vgg13": 12_252_136,
    "vgg16": 13_556_712,
    "vgg19": 14_861_288,
    "deep_speech2": 1_141_278,
}
# conv W, conv b, fc W, fc b, rnn, channels of all BNs, BN layers
DECOMPOSITION = {
    "acoustic_model": (0, 0, 34_660_352, 18_432, 0, 0, 0),
    "alexnet": (3_745_824, 1_376, 58_621_952, 9_192, 0, 0, 0),
    "alexnet_owt": (2_468_544, 1_152, 58_621_952, 9_192, 0, 0, 0),
    "deep_mnist": (0, 0, 11_965_000, 7_510, 0, 0, 0),
    "googlenet": (5_966_272, 7_280, 1_024_000, 1_000, 0, 0, 0),
    "inception3": (21_751_136, 0, 2_048_000, 1_000, 0, 17_216, 94),
    "inception4": (41_079_648, 0, 1_536_000, 1_000, 0, 31_584, 149),
    "overfeat": (15_984_672, 2_912, 129_925_120, 8_168, 0, 0, 0),
    "resnet18": (11_171_008, 0, 512_000, 1_000, 0, 4_864, 21),
    "resnet34": (21_271_744, 0, 512_000, 1_000, 0, 8_576, 37),
    "resnet50": (23_454_912, 64, 2_048_000, 1_000, 0, 26_560, 53),
    "resnet101": (42_394_816, 0, 2_048_000, 1_000, 0, 52_672, 104),
    "resnet152": (57_992_384, 0, 2_048_000, 1_000, 0, 75_712, 155),
    "resnet200": (62_448_832, 0, 2_048_000, 1_000, 0, 88_000, 203),
    "resnet269": (99_771_584, 0, 2_048_000, 1_000, 0, 126_400, 272),
    # torchvision's networks: the same arrays but for conv1's bias.
    "resnet50_v1.5": (23_454_912, 0, 2_048_000, 1_000, 0, 26_560, 53),
    "resnet101_v1.5": (42_394_816, 0, 2_048_000, 1_000, 0, 52_672, 104),
    "resnet152_v1.5": (57_992_384, 0, 2_048_000, 1_000, 0, 75_712, 155),
    "vgg11": (9_217_728, 2_752, 123_633_664, 9_192, 0, 0, 0),
    "vgg13": (9_402_048, 2_944, 123_633_664, 9_192, 0, 0, 0),
    "vgg16": (14_710_464, 4_224, 123_633_664, 9_192, 0, 0, 0),
    "vgg19": (20_018_880, 5_504, 123_633_664, 9_192, 0, 0, 0),
    "deep_speech2": (250_976, 0, 3_448_832, 842, 64_118_784, 64, 2),
}
INPUTS = {
    "acoustic_model": (540,),
    "alexnet": (3, 227, 227),
    "alexnet_owt": (3, 227, 227),
    "deep_mnist": (1, 28, 28),
    "deep_speech2": (1, 200, 161),
    "inception3": (3, 299, 299),
    "inception4": (3, 299, 299),
    "inception_resnet_v2": (3, 299, 299),
    "overfeat": (3, 231, 231),
}
CLASSES = {"acoustic_model": 8192, "deep_mnist": 10, "deep_speech2": 842}


@pytest.fixture(scope="module")
def graphs():
    return {name: zoo.draw(name) for name in zoo.names()}


def numbers(graph):
    rates = tuple(node.attrs["rate"] for node in graph.nodes if node.op == "dropout")
    return Numbers(graph.learnable, graph.macs, rates, graph.fingerprint)


def test_every_network_has_its_numbers(graphs):
    new = [f'"{name}": {numbers(graphs[name])},' for name in graphs if name not in NETWORKS]
    assert new == [], "check these, and add them to NETWORKS"
    assert list(NETWORKS) == list(graphs)


@pytest.mark.parametrize("name", NETWORKS)
def test_numbers(graphs, name):
    assert numbers(graphs[name]) == NETWORKS[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_table(graphs, name):
    published, megabytes = PUBLISHED[name]
    assert graphs[name].published == published
    assert abs(graphs[name].size_mib - megabytes) < 1


@pytest.mark.parametrize("name", NETWORKS)
def test_input_and_output(graphs, name):
    graph = graphs[name]
    classes = CLASSES.get(name, 1000)
    assert graph.input.shape == graph.input_shape == INPUTS.get(name, (3, 224, 224))
    assert graph.classes == classes
    assert graph.output.shape == ((67, classes) if name == "deep_speech2" else (classes,))
    assert graph.output is graph.nodes[-1]


def _total(graph, ops, role):
    return sum(
        array.size
        for node in graph.nodes
        if node.op in ops
        for array in node.parameters + node.statistics
        if role in array.role
    )


@pytest.mark.parametrize("name", DECOMPOSITION)
def test_decomposition(graphs, name):
    graph = graphs[name]
    conv_w, conv_b, fc_w, fc_b, rnn, channels, layers = DECOMPOSITION[name]
    dense = ("dense", "per_step")
    assert _total(graph, ("conv",), "weight") == conv_w
    assert _total(graph, ("conv",), "bias") == conv_b
    assert _total(graph, dense, "weight") == fc_w
    assert _total(graph, dense, "bias") == fc_b
    assert _total(graph, ("rnn",), "") == rnn
    for role in ("gamma", "beta", "mean", "variance"):
        assert _total(graph, ("batch_norm",), role) == channels
    assert graph.bn_statistics == 2 * channels
    assert graph.bn_layers == layers


def test_inception_resnet_v2_is_the_released_variant(graphs):
    graph = graphs["inception_resnet_v2"]
    assert graph.bn_statistics == 60_544
    # Without gammas: the figures Keras shows.
    gammas = _total(graph, ("batch_norm",), "gamma")
    assert graph.learnable - gammas == 55_813_192
    assert graph.learnable - gammas + graph.bn_statistics == 55_873_736
    factors = [node.attrs["factor"] for node in graph.nodes if node.op == "scale"]
    assert factors == [0.17] * 10 + [0.1] * 20 + [0.2] * 9 + [1.0]


@pytest.mark.slow
def test_counts_agree_with_the_arrays(graphs):
    for graph in graphs.values():
        assert graph.learnable == sum(array.size for array in graph.parameters)
        assert graph.bn_statistics == sum(array.size for array in graph.statistics)
        names = [array.name for array in graph.parameters + graph.statistics]
        assert len(names) == len(set(names))


def _elements(node):
    size = 1
    for number in node.shape:
        size *= number
    return size * node.attrs.get("layers", 1)


@pytest.mark.parametrize("name", ELEMENTS)
def test_elements(graphs, name):
    counted = ("conv", "dense", "rnn", "per_step")
    nodes = [node for node in graphs[name].nodes if node.op in counted]
    assert sum(map(_elements, nodes)) == ELEMENTS[name]


def _shapes(graph, *ops):
    return [node.shape for node in graph.nodes if node.op in ops]


def test_shapes_of_alexnet(graphs):
    layers = ("conv", "max_pool", "flatten", "dense")
    tail = [(384, 13, 13), (256, 13, 13), (256, 6, 6), (9216,), (4096,), (4096,), (1000,)]
    head = [(96, 55, 55), (96, 27, 27), (256, 27, 27), (256, 13, 13), (384, 13, 13)]
    assert _shapes(graphs["alexnet"], *layers) == head + tail
    tail[0] = (256, 13, 13)
    head = [(64, 55, 55), (64, 27, 27), (192, 27, 27), (192, 13, 13), (384, 13, 13)]
    assert _shapes(graphs["alexnet_owt"], *layers) == head + tail


def test_shapes_of_overfeat(graphs):
    assert _shapes(graphs["overfeat"], "conv", "max_pool", "flatten", "dense") == [
        (96, 56, 56),
        (96, 28, 28),
        (256, 24, 24),
        (256, 12, 12),
        (512, 12, 12),
        (1024, 12, 12),
        (1024, 12, 12),
        (1024, 6, 6),
        (36864,),
        (3072,),
        (4096,),
        (1000,),
    ]


@pytest.mark.parametrize("name", ["vgg11", "vgg13", "vgg16", "vgg19"])
def test_shapes_of_vgg(graphs, name):
    graph = graphs[name]
    pools = [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]
    assert _shapes(graph, "max_pool") == pools
    assert _shapes(graph, "flatten") == [(25088,)]


def test_shapes_of_googlenet(graphs):
    graph = graphs["googlenet"]
    channels = (256, 480, 512, 512, 512, 528, 832, 832, 1024)
    sizes = (28, 28, 14, 14, 14, 14, 14, 7, 7)
    assert _shapes(graph, "concat") == [(c, n, n) for c, n in zip(channels, sizes, strict=True)]
    assert graph.nodes[-2].attrs == {"rate": 0.4}
    halving = [n for n in graph.nodes if n.op == "max_pool" and n.attrs["stride"] == (2, 2)]
    assert [n.shape[1] for n in halving] == [56, 28, 14, 7]
    assert {n.attrs["pad"] for n in halving} == {(0, 0, 1, 1)}


def test_shapes_of_inception3(graphs):
    sizes = [(256, 35), (288, 35), (288, 35), (768, 17)] + [(768, 17)] * 4
    sizes += [(1280, 8), (2048, 8), (2048, 8)]
    graph = graphs["inception3"]
    assert _shapes(graph, "concat") == [(c, n, n) for c, n in sizes]
    assert [n.shape[1] for n in graph.nodes if n.op == "conv"][:5] == [149, 147, 147, 73, 71]


def test_inception3_averages_in_c1_and_takes_the_maximum_in_c2(graphs):
    pools = [n.op for n in graphs["inception3"].nodes if n.op.endswith("_pool") and n.shape[1] == 8]
    assert pools == ["max_pool", "avg_pool", "max_pool"]


def test_shapes_of_inception4(graphs):
    sizes = [(160, 73), (192, 71), (384, 35)] + [(384, 35)] * 4
    sizes += [(1024, 17)] * 8 + [(1536, 8)] * 4
    graph = graphs["inception4"]
    joins = [node for node in graph.nodes if node.op == "concat"]
    assert [node.shape for node in joins] == [(c, n, n) for c, n in sizes]
    assert [source.op for source in joins[0].inputs] == ["max_pool", "relu"]
    assert [source.op for source in joins[2].inputs] == ["relu", "max_pool"]


def test_shapes_of_inception_resnet_v2(graphs):
    graph = graphs["inception_resnet_v2"]
    sizes = [(320, 35)] * 10 + [(1088, 17)] * 20 + [(2080, 8)] * 10
    assert _shapes(graph, "add") == [(c, n, n) for c, n in sizes]
    assert _shapes(graph, "avg_pool")[-1] == (1536, 1, 1)
    last = next(node for node in graph.nodes if node.name == "block8_10_add1")
    users = [node.op for node in graph.nodes if last in node.inputs]
    assert users == ["conv"]


RESNETS = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
    "resnet200": (3, 24, 36, 3),
    "resnet269": (3, 30, 48, 8),
    "resnet50_v1.5": (3, 4, 6, 3),
    "resnet101_v1.5": (3, 4, 23, 3),
    "resnet152_v1.5": (3, 8, 36, 3),
}


@pytest.mark.parametrize("name", RESNETS)
def test_shapes_of_resnets(graphs, name):
    graph = graphs[name]
    widening = 1 if name in ("resnet18", "resnet34") else 4
    expected = []
    for depth, width, size in zip(RESNETS[name], (64, 128, 256, 512), (56, 28, 14, 7), strict=True):
        expected += [(width * widening, size, size)] * depth
    assert _shapes(graph, "add") == expected
    assert _shapes(graph, "max_pool") == [(64, 56, 56)]


@pytest.mark.parametrize("name", RESNETS)
def test_what_sets_v1_apart_from_v1_5(graphs, name):
    graph = graphs[name]
    newer = name.endswith("_v1.5")
    pool = next(node for node in graph.nodes if node.op == "max_pool")
    assert pool.attrs["pad"] == ((1, 1, 1, 1) if newer else (0, 0, 1, 1))
    unit = [n for n in graph.nodes if n.name.startswith("stage2_unit1_conv")]
    first = (1, 1) if newer else (2, 2)
    assert unit[0].attrs["stride"] == first
    assert unit[1].attrs["stride"] == ((2, 2) if newer else (1, 1))
    assert [n.name for n in graph.nodes if n.op == "conv" and n.attrs["bias"]] == (
        ["conv1"] if name == "resnet50" else []
    )


def test_deep_speech2(graphs):
    graph = graphs["deep_speech2"]
    assert [n.shape for n in graph.nodes if n.op in ("conv", "sequence", "rnn")] == [
        (32, 67, 81),
        (32, 67, 41),
        (67, 1312),
        (67, 4096),
    ]
    layers = [a for a in graph.parameters if "rnn1" in a.name]
    sizes = [sum(a.size for a in layers if a.role.startswith(f"l{n}_")) for n in range(3)]
    assert sizes == [13_770_752, 25_174_016, 25_174_016]


# Which way the long kernels lie shows in no count: branch by branch as (filters, height, width).
CELLS = {
    ("inception3", "b1"): "192 1x1|128 1x1|128 1x7|192 7x1"
    "|128 1x1|128 7x1|128 1x7|128 7x1|192 1x7|192 1x1",
    ("inception3", "b4"): "192 1x1|192 1x1|192 1x7|192 7x1"
    "|192 1x1|192 7x1|192 1x7|192 7x1|192 1x7|192 1x1",
    ("inception3", "reduction_b"): "192 1x1|320 3x3|192 1x1|192 1x7|192 7x1|192 3x3",
    ("inception3", "c1"): "320 1x1|384 1x1|384 1x3|384 3x1|448 1x1|384 3x3|384 1x3|384 3x1|192 1x1",
    ("inception4", "stem"): "32 3x3|32 3x3|64 3x3|96 3x3"
    "|64 1x1|96 3x3|64 1x1|64 1x7|64 7x1|96 3x3|192 3x3",
    ("inception4", "a1"): "96 1x1|64 1x1|96 3x3|64 1x1|96 3x3|96 3x3|96 1x1",
    ("inception4", "b1"): "384 1x1|192 1x1|224 1x7|256 7x1"
    "|192 1x1|192 7x1|224 1x7|224 7x1|256 1x7|128 1x1",
    ("inception4", "reduction_b"): "192 1x1|192 3x3|256 1x1|256 1x7|320 7x1|320 3x3",
    ("inception4", "c1"): "256 1x1|384 1x1|256 1x3|256 3x1"
    "|384 1x1|448 3x1|512 1x3|256 1x3|256 3x1|256 1x1",
    ("inception_resnet_v2", "block35_1"): "32 1x1|32 1x1|32 3x3|32 1x1|48 3x3|64 3x3|320 1x1",
    ("inception_resnet_v2", "block17_1"): "192 1x1|128 1x1|160 1x7|192 7x1|1088 1x1",
    ("inception_resnet_v2", "block8_1"): "192 1x1|192 1x1|224 1x3|256 3x1|2080 1x1",
}


@pytest.mark.parametrize(("name", "scope"), CELLS)
def test_kernels_lie_the_right_way(graphs, name, scope):
    convs = [n for n in graphs[name].nodes if n.op == "conv" and n.name.startswith(scope + "_")]
    cells = ["{} {}x{}".format(n.attrs["filters"], *n.attrs["kernel"]) for n in convs]
    assert cells == CELLS[name, scope].split("|")


def test_numbers_that_shapes_do_not_show(graphs):
    for name, graph in graphs.items():
        norms = [node.attrs for node in graph.nodes if node.op == "batch_norm"]
        expected = {"r": 1e-5, "i": 1e-3, "d": 2e-5}.get(name[0])
        assert {attrs["eps"] for attrs in norms} <= {expected}
        assert {attrs["decay"] for attrs in norms} <= {0.9}
    for name in ("alexnet", "googlenet"):
        lrns = [node.attrs for node in graphs[name].nodes if node.op == "lrn"]
        assert lrns == [{"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0}] * 2
