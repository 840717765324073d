"""Show the contents of the zoo: ``python -m backends.zoo list`` or ``show MODEL``."""

import argparse
import sys

from backends.zoo import UnknownModel, draw, names
from backends.zoo.node import OPS


def main(argv=None):
    """Return the exit code: 2 for an unknown model."""
    parser = argparse.ArgumentParser(prog="python -m backends.zoo", description="The zoo.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    commands.add_parser("list", help="one line per network")
    show = commands.add_parser("show", help="every node of one network")
    show.add_argument("model", metavar="MODEL")
    arguments = parser.parse_args(argv)
    try:
        lines = _listed() if arguments.command == "list" else _shown(draw(arguments.model))
    except UnknownModel as error:
        sys.stderr.write("error: %s\n" % error)
        return 2
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _listed():
    rows = [("model", "input", "classes", "parameters", "learnable", "MACs", "fingerprint")]
    for graph in map(draw, names()):
        counts = [_grouped(n) for n in (graph.classes, graph.published, graph.learnable)]
        size = _joined(graph.input_shape)
        rows.append((graph.name, size) + tuple(counts) + (_grouped(graph.macs), graph.fingerprint))
    return _table(rows, numeric=(2, 3, 4, 5))


def _shown(graph):
    rows = [("node", "operator", "inputs", "attributes", "output", "learnable", "MACs")]
    for node in graph.nodes:
        attrs = " ".join(
            "%s=%s" % (key, _plain(node.attrs[key])) for key in OPS[node.op] if key != "shape"
        )
        inputs = " ".join(source.name for source in node.inputs)
        counts = (_grouped(node.learnable), _grouped(node.macs))
        rows.append((node.name, node.op, inputs, attrs, _joined(node.shape)) + counts)
    return _table(rows, numeric=(5, 6)) + [""] + _totals(graph)


def _totals(graph):
    facts = (
        ("model", graph.name),
        ("fingerprint", graph.fingerprint),
        ("learnable", _grouped(graph.learnable)),
        ("running statistics", _grouped(graph.bn_statistics)),
        ("batch normalisations", _grouped(graph.bn_layers)),
        ("parameters (published)", _grouped(graph.published)),
        ("size in float32", "%.1f MiB" % graph.size_mib),
        ("MACs per sample", _grouped(graph.macs)),
    )
    return ["%-23s %s" % fact for fact in facts]


def _table(rows, numeric):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = []
        for column, (cell, width) in enumerate(zip(row, widths)):
            cells.append(cell.rjust(width) if column in numeric else cell.ljust(width))
        lines.append("  ".join(cells).rstrip())
    return lines


def _grouped(number):
    return "{:,}".format(number)


def _joined(shape):
    return "x".join(str(size) for size in shape)


def _plain(value):
    if isinstance(value, tuple):
        return ",".join(str(number) for number in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    sys.exit(main())
