"""What a program and a network want of a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backends.zoo import UnknownModel, draw
from orchestrator.data.manifest import Format
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import Framework

TITLES: Mapping[Format, str] = {
    "images": "a folder of images",
    "lmdb": "an LMDB",
    "recordio": "RecordIO",
    "tfrecord": "TFRecord",
    "webdataset": "WebDataset",
    "tensors": "tensors of DLBS",
    "arrays": "NumPy arrays",
    "features": "NumPy arrays",
}


@dataclass(frozen=True, kw_only=True)
class Reader:
    """What a program reads: formats, the first one to convert to, and what else it needs.

    splits: it reads `train` and `val` in the folder. index: it needs train.rec and its index.
    equal: it needs shards of equal length. png: it reads PNG too, whatever the file is called.
    """

    formats: tuple[Format, ...]
    splits: bool = False
    index: bool = False
    equal: bool = False
    png: bool = True


_TFRECORD = Reader(formats=("tfrecord",))
_FOLDERS = Reader(formats=("images",), splits=True)
_DECODED: tuple[Format, ...] = ("arrays", "features")
_OURS = Reader(formats=_DECODED)
# What our own programs decode themselves; `backends/*/reader.py`. Those of folders of images also
# read a WebDataset.
NATIVE: Mapping[str, Format] = {
    "pytorch": "images",
    "tensorflow": "tfrecord",
    "mxnet": "recordio",
    "bvlc_caffe": "lmdb",
    "nvidia_caffe": "lmdb",
    "intel_caffe": "lmdb",
    "caffe2": "lmdb",
    "onnxruntime": "images",
    "openvino": "images",
}
_READERS = {
    "tf_cnn_benchmarks": _TFRECORD,
    "nvcnn": Reader(formats=("tfrecord",), equal=True),
    "nvtfcnn": Reader(formats=("tfrecord",), equal=True),
    "deeplearningexamples_tensorflow": _TFRECORD,
    "mxnet_train_imagenet": Reader(formats=("recordio",)),
    "deeplearningexamples_mxnet": Reader(formats=("recordio",), index=True),
    "caffe_train": Reader(formats=("lmdb",)),
    "caffe2_trainer": Reader(formats=("lmdb",)),
    "pytorch_imagenet": _FOLDERS,
    "deeplearningexamples_pytorch": _FOLDERS,
    "torchvision_references": _FOLDERS,
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A program, by name, with what it reads, and the input of a network: None is unknown.

    `shape` is the network's input, channels first; `classes` is how many it tells apart.
    """

    program: str = ""
    reader: Reader | None = None
    model: str = ""
    shape: tuple[int, ...] | None = None
    classes: int | None = None
    speech: bool = False

    @property
    def side(self) -> int | None:
        """Return the side of the images that the network takes, None if it takes no images."""
        return self.shape[-1] if self.shape is not None and len(self.shape) == 3 else None


def of(model: str | None, framework: Framework | None) -> Wanted:
    """Return what a network of the zoo and a program want; nothing of another network."""
    program, reader = "", None
    if framework is not None:
        program = framework.name
        reader = _own(program) if framework.is_our_program else _READERS.get(program)
    try:
        graph = draw(model or "")
    except UnknownModel:
        return Wanted(program=program, reader=reader, model=model or "")
    if framework is not None and framework.is_our_program and not _is_colour(graph.input_shape):
        reader = _OURS
    speech = graph.kind == "speech"
    return Wanted(
        program=program,
        reader=reader,
        model=graph.name,
        shape=graph.input_shape,
        classes=graph.classes,
        speech=speech,
    )


def _own(program: str) -> Reader:
    """Return what one of our programs reads for a network that takes images."""
    decoded = decoded_by(program)
    if not decoded:
        return _OURS
    # Folders and tar files are read with simplejpeg (`backends/harness/decoding.py`).
    return Reader(formats=(*decoded, *_DECODED), png="images" not in decoded)


def decoded_by(program: str) -> tuple[Format, ...]:
    """Return the formats that one of our programs decodes, the usual one first."""
    native = NATIVE.get(program)
    if native is None:
        return ()
    return (native, "webdataset") if native == "images" else (native,)


def _is_colour(shape: tuple[int, ...]) -> bool:
    """Whether an input is an image in colour, which our readers yield."""
    return len(shape) == 3 and shape[0] == 3


def named(model: str | None, framework: str | None) -> Wanted:
    """Return what a network and a program want, by their names. Raises RequestError."""
    found = catalogue.framework(framework) if framework is not None else None
    return of(model, found)
