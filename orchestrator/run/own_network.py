"""Checks the user's network file before anything starts.

The program in the image reads the file with its framework and has the last word; this module finds
mistakes that the user should not have to wait for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import DataError, RequestError, either
from orchestrator.record_files import refuse_stream

if TYPE_CHECKING:
    from orchestrator.frameworks.record import Framework
    from orchestrator.request import Phase, Request
    from orchestrator.run.prototxt import Network

ONNX, PROTOTXT = ".onnx", ".prototxt"
SUFFIXES = (ONNX, PROTOTXT)
# Files beside an ONNX file in which exporters keep weights: PyTorch's, and Optimum's.
_COMPANIONS = (".data", "_data")

_LONGEST_NAME = 60
_OUTSIDE_NAME = re.compile(r"[^A-Za-z0-9_.+-]+", re.ASCII)
_LFS_POINTER = b"version https://git-lfs"
_PROTOTXT_BATCH = re.compile(
    r"\binput_dim\s*:\s*(\d{1,9})"
    r"|\binput_shape\s*:?\s*\{\s*dim\s*:\s*(\d{1,9})"
    r"|\binput_param\s*:?\s*\{\s*shape\s*:?\s*\{\s*dim\s*:\s*(\d{1,9})"
    # Data layers; their fillers and transformations may come first.
    r"|\bdummy_data_param\s*:?\s*\{(?:[^{}]|\{[^{}]*\})*?\bshape\s*:?\s*\{\s*dim\s*:\s*(\d{1,9})"
    r"|\bbatch_size\s*:\s*(\d{1,9})"
)
_COMMENT = re.compile(r"#.*")


def split(model: str) -> tuple[str, Path | None]:
    """Return a model's name, and its file if MODEL is one. Raises RequestError."""
    if model.lower().endswith(SUFFIXES):
        path = Path(model).expanduser().absolute()
        return _name(path), path
    if "/" in model or Path(model).suffix.lower() in (".pb", ".pt", ".pth", ".xml", ".caffemodel"):
        raise RequestError(
            f"{model} cannot be run",
            hint="use an .onnx or .prototxt file",
        )
    return model, None


def _name(path: Path) -> str:
    """Return a name for folders and tables: the one in a prototxt, else the file's.

    Two files with the same name have different fingerprints.
    """
    known = _read(path, "inference") if path.suffix.lower() == PROTOTXT else None
    own = known.name if known else ""
    name = _OUTSIDE_NAME.sub("_", own or path.stem).lstrip("._+-")
    return name[:_LONGEST_NAME] or "network"


def check(framework: Framework, request: Request, frameworks: Iterable[Framework]) -> None:
    """Refuse a file that cannot be read or that a framework does not accept.

    `frameworks` are those to suggest instead. Raises RequestError, DataError.
    """
    if (folder := request.source) and (named := request.options.get("prototxt")):
        _check_layers(framework, request, folder / named, folder)
    path = request.model_file
    if path is None:
        return
    suffix = path.suffix.lower()
    if suffix not in framework.files:
        others = either(other.name for other in frameworks if suffix in other.files)
        raise RequestError(f"{framework.name} cannot run {suffix} files", hint=f"use -f {others}")
    if request.data is not None:
        raise RequestError(f"{path.name} can only run on synthetic data", hint="remove --data")
    _check_readable(path)
    if suffix == PROTOTXT:
        _check_layers(framework, request, path, path.parent)
    fixed = fixed_batch(path) if suffix == ONNX else None
    if fixed is not None and request.batch not in (None, fixed):
        raise RequestError(
            f"{path.name} has a fixed batch of {fixed}, not {request.batch}",
            hint=f"use --batch {fixed}, or export it with a dynamic batch size",
        )


def _read(path: Path, phase: Phase) -> Network | None:
    # Few runs have a network of the user's, and every run would wait for this import.
    from orchestrator.run import prototxt

    return prototxt.read(path, phase)


def default_phase(framework: Framework, usual: Phase, path: Path | None) -> Phase:
    """Return the default phase for a network: inference if it has no loss.

    `usual` is the default of the framework, which may support no other.
    """
    if path is None or path.suffix.lower() != PROTOTXT or usual != "training":
        return usual
    network = _read(path, usual)
    lossless = network is not None and not network.has_loss
    return "inference" if lossless and _infers(framework) else usual


def _infers(framework: Framework) -> bool:
    return any(phase == "inference" for _, phase in framework.dtypes)


def _check_layers(framework: Framework, request: Request, path: Path, folder: Path) -> None:
    """Refuse to train a network without a loss, or one whose dataset is missing.

    A database's path is relative to `folder`.
    """
    network = _read(path, request.phase)
    if network is None:
        return
    if request.phase == "training" and not network.has_loss:
        other = "" if _infers(framework) else "-f caffe_time "
        raise RequestError(
            f"{path.name} has no loss in the TRAIN phase, so it cannot be trained",
            hint=f"use {other}--phase inference, or add a loss layer",
        )
    if framework.is_our_program:
        return  # it reports that itself, and reads no dataset at all
    for layer in network.layers:
        if layer.reads_dataset and layer.dataset and not (folder / layer.dataset).exists():
            raise RequestError(
                f"{path.name} reads a dataset in its layer {layer.name or layer.kind}, but there "
                f"is no {layer.dataset} in {folder}",
                hint="replace it by an Input layer with the shape, or use --source FOLDER "
                f"--option prototxt={path.name} with the folder that contains both",
            )


def _check_readable(path: Path) -> None:
    refuse_stream(path)
    try:
        with path.open("rb") as file:
            head = file.read(len(_LFS_POINTER))
    except FileNotFoundError:
        raise DataError(
            f"the file {path} does not exist", hint="use the path of the network"
        ) from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder", hint="use the path of the network file") from None
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}", hint=f"run `chmod a+r {path}` to allow it"
        ) from None
    if not head:
        raise DataError(f"{path} is empty", hint="export or copy it again")
    if head == _LFS_POINTER:
        raise DataError(
            f"{path} is only a Git LFS pointer", hint="run `git lfs pull` to get the file"
        )


def fixed_batch(path: Path) -> int | None:
    """Return the batch size that a file is made for; None if it is dynamic or unknown."""
    try:
        if path.suffix.lower() == ONNX:
            from orchestrator.run import onnx_shape  # only for these

            return onnx_shape.fixed_batch(path)
        text = path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    found = _PROTOTXT_BATCH.search(_COMMENT.sub("", text))
    if found is None:
        return None
    # A value that is not a batch size is for the image to complain about.
    return int(next(filter(None, found.groups()))) or None


def with_batch(request: Request) -> Request:
    """Return the request with the file's batch size if the request gives none."""
    if request.model_file is None or request.batch is not None:
        return request
    return request.model_copy(update={"batch": fixed_batch(request.model_file)})


def fingerprint(path: Path) -> str:
    """Return what identifies a file's contents in results. Raises DataError."""
    try:
        with path.open("rb") as file:
            return "file:" + hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def files(path: Path) -> Iterator[Path]:
    """Yield the file and the files that belong to it."""
    yield path
    for ending in _COMPANIONS:
        companion = path.with_name(path.name + ending)
        if companion.is_file():
            yield companion
