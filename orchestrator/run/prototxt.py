"""Reads what a prototxt file says about a Caffe network, without Caffe.

Unreadable data is not an error here: Caffe in the image reads the file again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.request import Phase

_TOKEN = re.compile(r""""(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|#[^\n]*|[{}]|[^\s{}:"'#,;\[\]]+""")
_LONGEST = 8 << 20  # bytes; real ones have some hundred thousand
# Layers that read a dataset, as named in present and former prototxt formats.
_DATABASES = frozenset(
    ("data", "imagedata", "hdf5data", "windowdata", "annotateddata", "videodata")
)
# Parts of the type names of losses, also in forks.
_LOSSES = ("loss", "ctc")

_Message = list[tuple[str, "str | _Message"]]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer: its type in lower case, and the dataset it reads."""

    name: str
    kind: str
    weights: tuple[float, ...]
    dataset: str

    @property
    def is_loss(self) -> bool:
        """Whether it yields a loss that counts."""
        if self.weights:
            return any(self.weights)
        return any(word in self.kind for word in _LOSSES)

    @property
    def reads_dataset(self) -> bool:
        """Whether it reads a database or files."""
        return self.kind in _DATABASES


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network's name, "" if it has none, and its layers in a phase."""

    name: str
    layers: tuple[Layer, ...]

    @property
    def has_loss(self) -> bool:
        """Whether one of the layers is a loss."""
        return any(layer.is_loss for layer in self.layers)


def read(path: Path, phase: Phase) -> Network | None:
    """Return the network in a phase, None if the file cannot be read as one."""
    try:
        if path.stat().st_size > _LONGEST:
            return None
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return None
    message = _parsed(text)
    if message is None:
        return None
    bodies = [body for key, body in message if key in ("layer", "layers") and body]
    layers = tuple(
        _layer(body) for body in bodies if isinstance(body, list) and _is_in(body, phase)
    )
    return Network(name=_text(message, "name"), layers=layers) if bodies else None


def _parsed(text: str) -> _Message | None:
    """Return keys with their values, in order; None if braces do not match."""
    stack: list[_Message] = [[]]
    key = ""
    for token in _TOKEN.findall(text):
        if token[0] == "#":
            continue
        if token == "{":
            inner: _Message = []
            stack[-1].append((key, inner))
            stack.append(inner)
            key = ""
        elif token == "}":
            stack.pop()
            if not stack:
                return None
            key = ""
        elif token[0] in "\"'" or key:
            stack[-1].append((key, token.strip("\"'")))
            key = ""
        elif token[0].isalpha():  # otherwise it is one more number of a list
            key = token
    return stack[0] if len(stack) == 1 else None


def _layer(body: _Message) -> Layer:
    return Layer(
        name=_text(body, "name"),
        kind=_text(body, "type").lower().replace("_", ""),
        weights=tuple(_numbers(body, "loss_weight")),
        dataset=next(
            (
                _text(inner, "source")
                for key, inner in body
                if isinstance(inner, list) and key.endswith("data_param")
            ),
            "",
        ),
    )


def _is_in(body: _Message, phase: Phase) -> bool:
    """Whether a layer is in the network in a phase; ignores `stage` and `level`."""
    word = "TRAIN" if phase == "training" else "TEST"
    included, excluded = _phases(body, "include"), _phases(body, "exclude")
    return word not in excluded and (not included or word in included)


def _phases(body: _Message, rule: str) -> list[str]:
    rules = [inner for key, inner in body if key == rule and isinstance(inner, list)]
    return [phase for inner in rules if (phase := _text(inner, "phase"))]


def _text(message: _Message, key: str) -> str:
    return next((v for k, v in message if k == key and isinstance(v, str)), "")


def _numbers(message: _Message, key: str) -> Iterator[float]:
    for name, value in message:
        if name == key and isinstance(value, str):
            try:
                yield float(value)
            except ValueError:
                continue
