"""``python3 -m backends.onnx write MODEL FILE``: a network as an ONNX file.

Errors are reported as our programs do, because this prepares the runs of vendors' programs.
"""

import argparse
import os
import sys

from backends import zoo
from backends.harness import errors, events
from backends.onnx import build, typed
from backends.onnx.own_network import OnnxNetwork

BAD_REQUEST = 2


def parse(argv):
    """The arguments; a mistake ends the program with status 2."""
    parser = argparse.ArgumentParser(
        prog="backends.onnx", description="Writes networks of the zoo as ONNX files."
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    write = commands.add_parser("write", help="write one network with its weights")
    write.add_argument("model", metavar="MODEL")
    write.add_argument("file", metavar="FILE")
    write.add_argument(
        "--batch", type=int, metavar="N", help="fix the batch size; otherwise it is dynamic"
    )
    write.add_argument("--model-file", metavar="FILE", help="your network, checked")
    write.add_argument(
        "--seed", type=int, default=1, metavar="N", help="random seed of the weights"
    )
    write.add_argument(
        "--dtype", choices=typed.DTYPES, default="float32", help="number type (default: float32)"
    )
    found = parser.parse_args(argv)
    if found.batch is not None and found.batch < 1:
        parser.error("--batch must be 1 or more")
    if found.model_file is not None and found.batch is None:
        parser.error("--model-file needs --batch")
    if found.model_file is not None and found.dtype != "float32":
        parser.error("--dtype does not apply to your own file")
    return found


def write(path, content):
    """Write a complete file or none."""
    aside = path + ".partial"
    try:
        with open(aside, "wb") as file:
            file.write(content)
        os.rename(aside, path)
    except (IOError, OSError):
        if os.path.exists(aside):
            os.remove(aside)
        raise


def content_of(asked):
    """The file's bytes."""
    if asked.model_file is not None:
        return OnnxNetwork(asked.model_file, asked.batch).serialised()
    graph = zoo.draw(asked.model)
    if asked.dtype != "float32":
        return typed.serialised(graph, asked.seed, asked.batch, asked.dtype)
    return build.serialised(graph, asked.seed, asked.batch)


def main(argv, emit=None):
    """Run one command; return the exit status."""
    asked = parse(argv)
    try:
        content = content_of(asked)
        write(asked.file, content)
    except zoo.UnknownModel as error:
        return fail(emit, "unsupported", str(error))
    except errors.BenchmarkError as error:
        return fail(emit, error.kind, str(error))
    except (IOError, OSError) as error:
        return fail(emit, "internal", str(error))
    print(
        "%s: %s, %s, %d bytes, opset %d, batch %s"
        % (asked.file, asked.model, asked.dtype, len(content), build.OPSET, asked.batch or "open")
    )
    return 0


def fail(emit, kind, message):
    """Report why there is no file."""
    (emit or events.Emitter())("error", kind=kind, message=message)
    return BAD_REQUEST


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
