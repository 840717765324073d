"""The zoo: every network is defined once, and built by all frameworks.

Needs only the standard library, Python 3.5 or newer: the same files run on the host and in every
image. `weights` and `referee` need NumPy and are imported on demand.
"""

from collections import OrderedDict

from backends.zoo import googlenet, inception, plain, resnet, speech
from backends.zoo.graph import Graph
from backends.zoo.node import OPS, GraphError, Node, Parameter

__all__ = ["OPS", "Graph", "GraphError", "Node", "Parameter", "UnknownModel", "draw", "names"]

ILSVRC = 1000
# 29 x 29 pairs of characters and the blank.
BIGRAMS = 29 * 29 + 1


def _image(size, function, channels=3, classes=ILSVRC, **numbers):
    return "image", (channels, size, size), classes, function, numbers


def _resnet(depths, unit, **numbers):
    return _image(224, resnet.resnet, depths=depths, unit=unit, **numbers)


def _resnet_v1_5(depths):
    return _resnet(depths, resnet.bottleneck_v1_5, padded_pool=True)


_MODELS = OrderedDict(
    [
        ("acoustic_model", ("vector", (540,), 8192, plain.fully_connected, {"widths": [2048] * 5})),
        ("alexnet", _image(227, plain.alexnet, widths=(96, 256, 384, 384, 256), normalised=True)),
        (
            "alexnet_owt",
            _image(227, plain.alexnet, widths=(64, 192, 384, 256, 256), normalised=False),
        ),
        (
            "deep_mnist",
            _image(28, plain.fully_connected, 1, 10, widths=(2500, 2000, 1500, 1000, 500)),
        ),
        (
            "deep_speech2",
            ("speech", (1, 200, 161), BIGRAMS, speech.deep_speech2, {}),
        ),
        ("googlenet", _image(224, googlenet.googlenet)),
        ("inception3", _image(299, inception.inception3)),
        ("inception4", _image(299, inception.inception4)),
        ("inception_resnet_v2", _image(299, inception.inception_resnet_v2)),
        ("overfeat", _image(231, plain.overfeat)),
        ("resnet18", _resnet((2, 2, 2, 2), resnet.basic)),
        ("resnet34", _resnet((3, 4, 6, 3), resnet.basic)),
        ("resnet50", _resnet((3, 4, 6, 3), resnet.bottleneck, first_bias=True)),
        ("resnet50_v1.5", _resnet_v1_5((3, 4, 6, 3))),
        ("resnet101", _resnet((3, 4, 23, 3), resnet.bottleneck)),
        ("resnet101_v1.5", _resnet_v1_5((3, 4, 23, 3))),
        ("resnet152", _resnet((3, 8, 36, 3), resnet.bottleneck)),
        ("resnet152_v1.5", _resnet_v1_5((3, 8, 36, 3))),
        ("resnet200", _resnet((3, 24, 36, 3), resnet.bottleneck)),
        ("resnet269", _resnet((3, 30, 48, 8), resnet.bottleneck)),
        ("vgg11", _image(224, plain.vgg, depths=(1, 1, 2, 2, 2))),
        ("vgg13", _image(224, plain.vgg, depths=(2, 2, 2, 2, 2))),
        ("vgg16", _image(224, plain.vgg, depths=(2, 2, 3, 3, 3))),
        ("vgg19", _image(224, plain.vgg, depths=(2, 2, 4, 4, 4))),
    ]
)


class UnknownModel(ValueError):  # noqa: N818 - read as a sentence: except UnknownModel
    """No network has this name; the message offers the nearest ones."""

    def __init__(self, name):
        import difflib

        self.name = name
        self.suggestions = difflib.get_close_matches(name, list(_MODELS), 3)
        if self.suggestions:
            hint = "did you mean %s?" % " or ".join(self.suggestions)
        else:
            hint = "the models are %s" % ", ".join(_MODELS)
        super(UnknownModel, self).__init__("unknown model '%s': %s" % (name, hint))


def names():
    """Every model's name, in the order tables show them."""
    return list(_MODELS)


def draw(name):
    """Build a new graph of a network; raises `UnknownModel`."""
    if name not in _MODELS:
        raise UnknownModel(name)
    kind, input_shape, classes, function, numbers = _MODELS[name]
    graph = Graph(name, input_shape, classes, kind)
    return graph.finish(function(graph, graph.input, **numbers))
