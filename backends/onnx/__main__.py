"""``python3 -m backends.onnx write MODEL FILE``: a network as an ONNX file."""

import argparse
import os
import sys

from backends import zoo
from backends.harness.errors import Unsupported
from backends.onnx import build

BAD_REQUEST = 2


def parse(argv):
    """What was asked for; a mistake ends the program with status 2."""
    parser = argparse.ArgumentParser(
        prog="backends.onnx", description="Writes networks of the zoo as ONNX files."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    write = commands.add_parser("write", help="write one network with its weights")
    write.add_argument("model", metavar="MODEL")
    write.add_argument("file", metavar="FILE")
    write.add_argument("--batch", type=int, metavar="N", help="fix the batch size; else it is open")
    write.add_argument("--seed", type=int, default=1, metavar="N", help="of the weights")
    found = parser.parse_args(argv)
    if found.batch is not None and found.batch < 1:
        parser.error("--batch must be 1 or more")
    return found


def write(path, content):
    """Write a file that is whole or not there."""
    aside = path + ".partial"
    try:
        with open(aside, "wb") as file:
            file.write(content)
        os.rename(aside, path)
    except (IOError, OSError):
        if os.path.exists(aside):
            os.remove(aside)
        raise


def main(argv):
    """Run one command; return the exit status."""
    asked = parse(argv)
    try:
        graph = zoo.draw(asked.model)
        content = build.serialised(graph, asked.seed, asked.batch)
        write(asked.file, content)
    except (zoo.UnknownModel, Unsupported, IOError, OSError) as error:
        sys.stderr.write("backends.onnx: %s\n" % error)
        return BAD_REQUEST
    print(
        "%s: %s, %d bytes, opset %d, batch %s"
        % (asked.file, graph.name, len(content), build.OPSET, asked.batch or "open")
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
