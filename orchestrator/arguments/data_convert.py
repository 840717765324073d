"""Arguments of `benchdock data convert`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import data_make, values
from orchestrator.arguments.parser import Command, command

FORMATS = ("lmdb", "recordio", "tfrecord", "webdataset", "tensors", "arrays")
SPLITS = ("train", "validation")


def add(subcommands: Any) -> None:
    """Add the parser of the subcommand."""
    convert = command(
        subcommands,
        "convert",
        "convert a folder of images to the format of a program",
        "data convert images lmdb --to lmdb",
        "data convert imagenet/train records --to tfrecord --shards 128",
        "data convert imagenet/val records-val --to recordio --split validation --sorted",
        "data convert images arrays --to arrays --resize 224",
        status="0 success, 2 wrong request or a bad image, 3 not possible on this machine, 130 "
        "interrupted (run it again to continue)",
    )
    convert.add_argument(
        "source", type=values.path, metavar="SRC", help="images, with a folder per class"
    )
    convert.add_argument(
        "target", type=values.path, metavar="DST", help="a new or empty folder for the result"
    )
    convert.add_argument(
        "--to",
        choices=FORMATS,
        required=True,
        metavar="FORMAT",
        help="lmdb (Caffe, Caffe2), recordio (MXNet), tfrecord (TensorFlow, DALI), webdataset "
        "(PyTorch), tensors (DLBS), or arrays (decoded images, which benchdock's own programs "
        "read)",
    )
    _add_options(convert)
    data_make.add_common(convert)
    convert.set_defaults(handler="data_convert")


def _add_options(convert: Command) -> None:
    convert.add_argument(
        "--resize",
        type=values.whole(8, data_make.LARGEST_SIDE),
        metavar="N",
        help="resize the short side to N pixels and encode again; for tensors and arrays both "
        "sides (default: the files as they are, except their EXIF orientation)",
    )
    order = convert.add_mutually_exclusive_group()
    order.add_argument(
        "--shuffle",
        type=values.not_negative,
        default=0,
        metavar="SEED",
        help="shuffle by this seed, the same for every format (default: 0)",
    )
    order.add_argument("--sorted", action="store_true", help="keep the order of the names")
    convert.add_argument(
        "--shards",
        type=values.whole(1, 100_000),
        metavar="N",
        help="number of files (default: one per 128 MiB, at least 8)",
    )
    convert.add_argument(
        "--split",
        choices=SPLITS,
        default="train",
        metavar="SPLIT",
        help="train (default) or validation: for the names of files",
    )
    trust = convert.add_mutually_exclusive_group()
    trust.add_argument(
        "--trust",
        action="store_true",
        help="do not decode the images to check them, and keep no digests of shards (faster)",
    )
    trust.add_argument(
        "--skip-bad",
        action="store_true",
        help="leave out bad images and list them in benchdock-skipped.txt (default: stop at the "
        "first)",
    )
