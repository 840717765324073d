"""``python3 -m backends.caffe``: prototxt for the ``caffe`` binary, on standard output.

Needs no framework. For example, real updates on two GPUs, synthetic data:

    python3 -m backends.caffe train resnet50 --batch 32 > train.prototxt
    python3 -m backends.caffe solver resnet50 --net train.prototxt --steps 100 > solver.prototxt
    caffe train -solver solver.prototxt -gpu 0,1

and ``caffe time -model`` takes a deploy network (inference) or a train network; the latter
without the update, which only ``caffe train`` does.
"""

import argparse
import sys

from backends import zoo
from backends.caffe import prototxt
from backends.caffe.dialects import DIALECTS
from backends.harness.errors import Unsupported


def main(argv):
    """The text that was asked for."""
    asked = _parser().parse_args(argv)
    dialect = DIALECTS[asked.fork]
    if asked.kind == "solver":
        return prototxt.solver(
            dialect,
            None,
            asked.device,
            path=asked.net,
            dtype=asked.dtype,
            steps=asked.steps,
            display=asked.display,
        )
    made = prototxt.network(
        zoo.draw(asked.model),
        dialect,
        asked.batch,
        asked.kind == "train",
        dtype=asked.dtype,
        devices=asked.devices,
        source=prototxt.Source(asked.data, asked.source),
        fillers=True,
        round_mode=asked.round_mode,
    )
    return made.text


def _parser():
    parser = argparse.ArgumentParser(prog="backends.caffe", description="Writes prototxt.")
    add = parser.add_argument
    add("kind", choices=("deploy", "train", "solver"))
    add("model")
    add("--fork", choices=sorted(DIALECTS), default="bvlc_caffe")
    add("--batch", type=int, default=1, help="samples per device")
    add("--devices", type=int, default=1)
    add("--device", choices=("cpu", "gpu"), default="gpu")
    add("--dtype", choices=("float32", "float16"), default="float32")
    add("--data", choices=("input", "dummy", "lmdb"), default="dummy")
    add("--source", metavar="PATH", help="the lmdb")
    add("--round-mode", action="store_true", help="pooling's round_mode: Caffe after August 2018")
    add("--net", metavar="PATH", default="train.prototxt", help="the solver's network")
    add("--steps", type=int, default=100)
    add("--display", type=int, default=10, help="steps between the solver's lines")
    return parser


if __name__ == "__main__":
    try:
        sys.stdout.write(main(sys.argv[1:]))
    except (Unsupported, zoo.UnknownModel) as error:
        sys.exit("backends.caffe: %s" % error)
