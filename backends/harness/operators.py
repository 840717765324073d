"""Compares the operators of a network with those that a backend implements."""

from backends.harness.errors import Unsupported


def check_operators(graph, operators):
    """Raise `Unsupported` if the graph has an operation that is not in the table `operators`."""
    gaps = sorted({node.op for node in graph.nodes} - set(operators) - {"input"})
    if gaps:
        raise Unsupported(
            "%s needs %s, which this backend does not support" % (graph.name, ", ".join(gaps))
        )
