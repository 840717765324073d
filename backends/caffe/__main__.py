"""``python3 -m backends.caffe``: prototxt for the ``caffe`` binary, on standard output.

Needs no framework; ``--round-mode auto`` uses pycaffe, if it is there, to find out how old Caffe
is. For example, real updates on two GPUs, synthetic data:

    python3 -m backends.caffe train resnet50 --batch 32 > train.prototxt
    python3 -m backends.caffe solver resnet50 --net train.prototxt --steps 100 > solver.prototxt
    caffe train -solver solver.prototxt -gpu 0,1

and ``caffe time -model`` takes a deploy network (inference) or a train network; the latter without
the update, which only ``caffe train`` does. ``deploy --reader tensorrt`` is for TensorRT's reader
of Caffe networks, ``output`` prints the name of its output blob, and ``rebatch`` takes a prototxt
file instead of a model's name and changes its batch.
"""

import argparse
import io
import sys

from backends import zoo
from backends.caffe import prototxt, rebatch
from backends.caffe.dialects import DIALECTS
from backends.caffe.inputs import Source
from backends.harness.errors import Unsupported


def main(argv):
    """The requested text."""
    asked = _parser().parse_args(argv)
    dialect = DIALECTS[asked.fork]
    if asked.kind == "rebatch":
        with io.open(asked.model, encoding="utf-8") as file:
            layers = asked.batch * (asked.devices if dialect.divides_data_batch else 1)
            return rebatch.with_batch(file.read(), asked.batch, layers)
    if asked.kind == "solver":
        return prototxt.solver(
            dialect,
            None,
            asked.device,
            path=asked.net,
            dtype=asked.dtype,
            steps=asked.steps,
            display=asked.display,
            seed=asked.seed,
        )
    graph, training = zoo.draw(asked.model), asked.kind == "train"
    choices = {"tensorrt": True} if asked.reader == "tensorrt" else _for_caffe(asked)
    made = prototxt.network(graph, dialect, asked.batch, training, **choices)
    return made.output + "\n" if asked.kind == "output" else made.text


def _for_caffe(asked):
    return {
        "dtype": asked.dtype,
        "devices": asked.devices,
        "source": Source(asked.data, asked.source),
        "fillers": True,
        "round_mode": asked.round_mode == "yes" or (asked.round_mode == "auto" and _rounds()),
    }


def _rounds():
    """Whether this image's Caffe is of August 2018 or later; False without pycaffe."""
    try:
        from caffe.proto import caffe_pb2
    except ImportError:
        return False
    return "round_mode" in caffe_pb2.PoolingParameter.DESCRIPTOR.fields_by_name


def _parser():
    parser = argparse.ArgumentParser(prog="backends.caffe", description="Writes prototxt.")
    add = parser.add_argument
    add("kind", choices=("deploy", "train", "solver", "output", "rebatch"))
    add("model")
    add("--fork", choices=sorted(DIALECTS), default="bvlc_caffe")
    add("--batch", type=int, default=1, help="samples per device")
    add("--devices", type=int, default=1)
    add("--device", choices=("cpu", "gpu"), default="gpu")
    add("--dtype", choices=("float32", "float16"), default="float32")
    add("--data", choices=("input", "dummy", "lmdb"), default="dummy")
    add("--source", metavar="PATH", help="the lmdb")
    add("--reader", choices=("caffe", "tensorrt"), default="caffe")
    add(
        "--round-mode",
        choices=("no", "yes", "auto"),
        default="no",
        help="pooling's round_mode: Caffe after August 2018",
    )
    add("--net", metavar="PATH", default="train.prototxt", help="the solver's network")
    add("--steps", type=int, default=100)
    add("--display", type=int, default=10, help="steps between the solver's lines")
    add("--seed", type=int, default=1, help="the solver's")
    return parser


if __name__ == "__main__":
    try:
        sys.stdout.write(main(sys.argv[1:]))
    except (Unsupported, zoo.UnknownModel, IOError, UnicodeDecodeError) as error:
        sys.exit("backends.caffe: %s" % error)
