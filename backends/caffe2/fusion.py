"""What a convolution of oneDNN can do besides, for inference: the addition and ReLU after it.

Framework-free, so that the rules have unit tests.
"""

from collections import OrderedDict, namedtuple

Fusion = namedtuple("Fusion", "conv last addend kind")
Fusion.__doc__ = """A convolution with what follows, to be written as one operator.

`last` is the node whose value it computes; `addend` the node to whose value it adds its own, in
place, or None; `kind` a number of Caffe2's ConvFusion.
"""

RELU, SUM, SUM_RELU = 1, 2, 3


def fusions(graph, absorbs):
    """Node -> the `Fusion` to write where it is drawn, None for a node that is part of another's.

    Nodes that are written as they are drawn are not in it. `absorbs` maps convolutions to the
    normalization folded into them.
    """
    readers = graph.readers
    found = OrderedDict()  # type: OrderedDict  # the node where it is written -> Fusion
    for conv in graph.nodes:
        fusion = _after(readers, conv, absorbs.get(conv, conv)) if _suits(conv) else None
        if fusion is not None:
            found.setdefault(_place(fusion), fusion)
    number = {node: index for index, node in enumerate(graph.nodes)}
    while True:
        late = [node for node in found if not _in_time(found, node, readers, number)]
        if not late:
            return _written(found, absorbs)
        del found[late[0]]  # without it, others may be in time


def _suits(node):
    """Whether it is a convolution that oneDNN's operators can do: evenly padded."""
    return node.op == "conv" and node.attrs["pad"][:2] == node.attrs["pad"][2:]


def _after(readers, conv, end):
    """The fusion of a convolution whose value, perhaps normalized, is that of `end`; or None."""
    follower = _only(readers[end])
    if follower is not None and follower.op == "relu":
        return Fusion(conv, follower, None, RELU)
    if follower is None or follower.op != "add":
        return None
    addend = next(node for node in follower.inputs if node is not end)
    last = _only(readers[follower])
    if last is not None and last.op == "relu":
        return Fusion(conv, last, addend, SUM_RELU)
    return Fusion(conv, follower, addend, SUM)


def _only(nodes):
    return nodes[0] if len(nodes) == 1 else None


def _place(fusion):
    """The node in whose place it is written: of a sum the addition, when its addend is there."""
    if fusion.addend is None:
        return fusion.conv
    return fusion.last if fusion.kind == SUM else fusion.last.inputs[0]


def _in_time(found, node, readers, number):
    """Whether all that reads the addend of the fusion at `node` does so before that."""
    addend = found[node].addend
    if addend is None:
        return True
    moved = {fusion.conv: place for place, fusion in found.items()}
    others = [reader for reader in readers[addend] if reader is not node]
    return addend.op != "input" and all(
        number[moved.get(reader, reader)] < number[node] for reader in others
    )


def _written(found, absorbs):
    result = OrderedDict()  # type: OrderedDict
    for node, fusion in found.items():
        parts = (fusion.conv, absorbs.get(fusion.conv), node, fusion.last)
        result.update((part, None) for part in parts if part is not None)
    result.update(found)
    return result
