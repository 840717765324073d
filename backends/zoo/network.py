"""The nodes of a network, and what they amount to: arrays, counts, work, fingerprint."""

import hashlib
from collections import OrderedDict

from backends.zoo.node import OPS

FINGERPRINT_DIGITS = 16


class Network(object):
    """Nodes in the order they were drawn, which is topological. `Graph` draws them."""

    def __init__(self, name, input_shape, classes, kind):
        """`input_shape` is (C, H, W), (C, T, F) for speech or (F,); without the batch."""
        self.name = name
        self.kind = kind
        self.classes = classes
        self.input_shape = tuple(input_shape)
        self.nodes = []
        self.output = None
        self._positions = {}

    @property
    def parameters(self):
        """All trainable arrays, in drawing order."""
        return [parameter for node in self.nodes for parameter in node.parameters]

    @property
    def statistics(self):
        """All running means and variances, in drawing order; not trainable."""
        return [statistic for node in self.nodes for statistic in node.statistics]

    @property
    def learnable(self):
        """How many trainable numbers the network has."""
        return sum(node.learnable for node in self.nodes)

    @property
    def bn_statistics(self):
        """How many running means and variances it keeps."""
        return sum(2 * node.shape[0] for node in self.nodes if node.op == "batch_norm")

    @property
    def bn_layers(self):
        """How many batch normalisations it has."""
        return sum(node.op == "batch_norm" for node in self.nodes)

    @property
    def readers(self):
        """Node -> the nodes that read its value, in drawing order, once for each input."""
        found = OrderedDict((node, []) for node in self.nodes)  # type: dict
        for node in self.nodes:
            for source in node.inputs:
                found[source].append(node)
        return found

    @property
    def published(self):
        """The published table's count: Caffe also stores one factor per batch normalisation."""
        return self.learnable + self.bn_statistics + self.bn_layers

    @property
    def size_mib(self):
        """Size of the published count in float32, MiB (the table's "MB")."""
        return self.published * 4 / 2.0**20

    @property
    def macs(self):
        """Multiply-adds of one sample's forward pass."""
        return sum(node.macs for node in self.nodes)

    @property
    def canonical(self):
        """The text the fingerprint is a digest of.

        Names are left out: a renamed node computes the same. Python's repr of a float is the
        shortest exact one, so the text is the same on every version.
        """
        lines = ["graph %s %r %d" % (self.kind, self.input_shape, self.classes)]
        positions = self._positions
        for node in self.nodes:
            attrs = node.attrs
            words = ["%s=%r" % (key, attrs[key]) for key in OPS[node.op]]
            inputs = [positions[x] for x in node.inputs]
            lines.append("%s %s %r" % (node.op, " ".join(words), inputs))
        if self.output is not None:
            lines.append("output %d" % positions[self.output])
        return "\n".join(lines) + "\n"

    @property
    def fingerprint(self):
        """Digest that is equal exactly if the computation is."""
        digest = hashlib.sha256(self.canonical.encode("ascii")).hexdigest()
        return digest[:FINGERPRINT_DIGITS]
