"""Writes layers, and keeps in which blobs the values and arrays of nodes are.

As in handwritten networks, layers that may overwrite their input do so (BatchNorm, Scale, ReLU,
Dropout), and a constant factor before a sum becomes the sum's coefficient if the fork's sums have
them; a `plain` network does neither, so every node has a separate blob.
"""

from collections import OrderedDict

from backends.caffe.dialects import Word
from backends.caffe.inputs import LABEL

LOSS = "loss"

# Node operator -> operators it may overwrite: their backward passes need the input, or only the
# sign of the output, which ReLU and Dropout do not change.
OVERWRITES = {
    "batch_norm": ("conv",),
    "relu": ("conv", "dense", "batch_norm", "add"),
    "dropout": ("relu",),
}


class Writer(object):
    """The layers written so far."""

    def __init__(self, graph, dialect, batch, training, choices):
        self.graph = graph
        self.dialect = dialect
        self.batch = batch
        self.training = training
        self.choices = choices
        self.layers = []
        self.blobs = OrderedDict()
        self.arrays = OrderedDict()
        self.scales = {}
        self.factors = {}  # node -> its coefficient in the sum that reads it
        self._readers = graph.readers
        self._shared = set()  # blobs that more than one layer reads

    def layer(self, kind, name, bottoms, tops, *fields):
        """Append a layer."""
        entry = [("name", name), ("type", kind)]
        entry += [("bottom", bottom) for bottom in bottoms]
        entry += [("top", top) for top in tops]
        self.layers.append(("layer", entry + list(fields)))

    def unary(self, kind, node, *fields):
        """Append a layer with one input, which it overwrites if possible."""
        bottom = self.blobs[node.inputs[0].name]
        self.blobs[node.name] = top = bottom if self.may_overwrite(node) else node.name
        self.layer(kind, node.name, [bottom], [top], *fields)
        return top

    def skip(self, node):
        """Give the node the value of its input."""
        self.blobs[node.name] = self.blobs[node.inputs[0].name]

    def settle(self, node):
        """Call once a node's blob is known."""
        if len(self._readers[node]) > 1:
            self._shared.add(self.blobs[node.name])

    def may_overwrite(self, node):
        """Whether nothing else needs what the node reads."""
        source = node.inputs[0]
        if self.choices.plain or source.op not in OVERWRITES.get(node.op, ()):
            return False
        if self._shares_gradient(node):
            return False
        return self.blobs[source.name] not in self._shared

    def becomes_coefficient(self, node):
        """Whether the only reader of a `scale` node is a sum."""
        if self.choices.plain or self.dialect.plain_sums:
            return False
        return self._only_summed(node)

    def _shares_gradient(self, node):
        """Whether a sum gives the node the same gradient buffer as its other input.

        A node that overwrites its input also overwrites its gradient.
        """
        return self.training and self.dialect.plain_sums and self._only_summed(node)

    def _only_summed(self, node):
        return [reader.op for reader in self._readers[node]] == ["add"]

    def holds(self, node, roles, layer=None):
        """Record which blobs of a layer hold a node's arrays; None for one that is not ours."""
        for index, role in enumerate(roles):
            if role is not None:
                self.arrays["%s.%s" % (node.name, role)] = (layer or node.name, index)

    def filler(self, weights):
        """Fields for random weights and no bias, or none."""
        return [("weight_filler", [("type", "msra")])] if weights and self.choices.fillers else []

    def loss(self):
        """Mean softmax cross entropy."""
        bottoms = [self.blobs[self.graph.output.name], LABEL]
        how = ("loss_param", [("normalization", Word("VALID"))])
        self.layer("SoftmaxWithLoss", LOSS, bottoms, [LOSS], how)
