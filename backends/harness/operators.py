"""The operators of a network against those that a backend implements."""

from backends.harness.errors import Unsupported


def check_operators(graph, operators):
    """Raise `Unsupported` if the graph has an operation that the table `operators` lacks."""
    gaps = sorted({node.op for node in graph.nodes} - set(operators) - {"input"})
    if gaps:
        raise Unsupported("%s needs %s, which this backend lacks" % (graph.name, ", ".join(gaps)))
