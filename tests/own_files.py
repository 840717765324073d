"""Networks as users have them, good and bad: ONNX files, written without ONNX, and prototxt."""

from __future__ import annotations

import struct
from collections.abc import Mapping

FLOAT, INT64, FLOAT16 = 1, 7, 10


def varint(number: int) -> bytes:
    """Encode as protocol buffers do."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def message(*fields: tuple[int, int | str | bytes]) -> bytes:
    """Encode a message from its fields' numbers and values."""
    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts.append(varint(number << 3) + varint(value))
        else:
            raw = value.encode() if isinstance(value, str) else value
            parts.append(varint(number << 3 | 2) + varint(len(raw)) + raw)
    return b"".join(parts)


def value_info(name: str, shape: tuple[int | str, ...], kind: int = FLOAT) -> bytes:
    """Encode a declared input or output; a dimension that is a text is open."""
    dims = [(1, message((1 if isinstance(d, int) else 2, d))) for d in shape]
    return message((1, name), (2, message((1, message((1, kind), (2, message(*dims)))))))


def tensor(name: str, dims: tuple[int, ...], *more: tuple[int, int | str | bytes]) -> bytes:
    """Encode weights: ones, unless their file is given."""
    count = 1
    for size in dims:
        count *= size
    stored = more or ((9, struct.pack("<f", 1.0) * count),)
    return message(*((1, d) for d in dims), (2, FLOAT), (8, name), *stored)


def elsewhere(location: str) -> tuple[tuple[int, int | bytes], ...]:
    """Say that a tensor's weights are in another file."""
    return ((13, message((1, "location"), (2, location))), (14, 1))


def _attribute(name: str, *numbers: int) -> bytes:
    return message((1, name), *((8, n) for n in numbers), (20, 7))


def _node(op: str, inputs: tuple[str, ...], output: str, *attributes: bytes) -> bytes:
    return message(
        *((1, name) for name in inputs), (2, output), (4, op), *((5, a) for a in attributes)
    )


def onnx(
    shape: tuple[int | str, ...] = ("N", 3, 8, 8),
    *,
    kind: int = FLOAT,
    first: str = "Conv",
    inputs: tuple[bytes, ...] = (),
    weights: bytes = tensor("w", (4, 3, 3, 3)),
    opset: int = 13,
    reduce: bool = False,
) -> bytes:
    """Encode a network of a convolution, and of a pool or a mean of everything.

    Its weights are declared as an input, too, as old exporters do.
    """
    kernel = (_attribute("kernel_shape", 3, 3),) if first == "Conv" else ()
    last = ("ReduceSum", ()) if reduce else ("GlobalAveragePool", ())
    nodes = [_node(first, ("x", "w"), "y", *kernel), _node(last[0], ("y",), "z")]
    graph = message(
        *((1, node) for node in nodes),
        (2, "g"),
        (5, weights),
        (11, value_info("x", shape, kind)),
        (11, value_info("w", (4, 3, 3, 3))),
        *((11, one) for one in inputs),
        (12, message((1, "z"), (2, message((1, message((1, FLOAT))))))),
    )
    return message((1, 7), (2, "test"), (7, graph), (8, message((2, opset))))


# name -> content, kind of failure (None: it runs with a batch of 4), words of the message
ONNX_FILES: Mapping[str, tuple[bytes, str | None, str]] = {
    "open.onnx": (onnx(), None, ""),
    "four.onnx": (onnx((4, 3, 8, 8)), None, ""),
    "one.onnx": (onnx((1, 3, 8, 8)), "unsupported", "fixed batch of 1, not 4: use --batch 1"),
    "free.onnx": (onnx(("N", 3, "h", "w")), "unsupported", "(N, 3, h, w): only the batch may"),
    "flat.onnx": (onnx(("N",)), "unsupported", "of shape (N): export it with a batch"),
    "reduced.onnx": (onnx(reduce=True), "unsupported", "its leading dimension is not a batch"),
    "two.onnx": (onnx(inputs=(value_info("s", (1,)),)), "unsupported", "2 inputs (x, s)"),
    "int64.onnx": (onnx(kind=INT64), "unsupported", "of int64: export it with float input"),
    "half.onnx": (onnx(kind=FLOAT16), "unsupported", "of float16"),
    "foo.onnx": (onnx(first="Foo"), "unsupported", "Foo"),
    "misfit.onnx": (onnx(("N", 5, 8, 8)), "data", "cannot be run by"),
    "lost.onnx": (
        onnx(weights=tensor("w", (4, 3, 3, 3), *elsewhere("weights.bin"))),
        "data",
        "another file, weights.bin, which is not beside it",
    ),
    "cut.onnx": (onnx()[:200], "data", "is not an ONNX file, or a broken one"),
    "text.onnx": (b"just text\n" * 20, "data", "is not an ONNX file, or a broken one"),
    "hollow.onnx": (message((1, 7)), "data", "contains no network"),
}

_DATA = (
    'layer { name: "data" type: "Input" top: "data"\n'
    "  input_param { shape { dim: 10 dim: 3 dim: 8 dim: 8 } } }\n"
)
_LABEL = (
    'layer { name: "label" type: "Input" top: "label" include { phase: TRAIN }\n'
    "  input_param { shape { dim: 10 } } }\n"
)
_BODY = """
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "fc" type: "InnerProduct" bottom: "c" top: "fc"
  inner_product_param { num_output: 5 weight_filler { type: "msra" } } }
"""
_LOSS = (
    'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss"\n'
    "  include { phase: TRAIN } }\n"
)
_FORMER = """
name: "old" # of 2014
input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { name: "c" type: CONVOLUTION bottom: "data" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 } }
"""

# name -> content, (kind, words) in inference, (kind, words) in training
_Ends = tuple[str | None, str]
PROTOTXT_FILES: Mapping[str, tuple[bytes, _Ends, _Ends]] = {
    name: (content.encode("latin-1"), inference, training)
    for name, content, inference, training in (
        ("deploy", _DATA + _BODY, (None, ""), ("unsupported", "no loss in the TRAIN phase")),
        ("former", _FORMER, (None, ""), ("unsupported", "no loss in the TRAIN phase")),
        ("train", _DATA + _LABEL + _BODY + _LOSS, (None, ""), (None, "")),
        (
            "both",
            (_DATA + _LABEL + _BODY + _LOSS).replace("include { phase: TRAIN }", ""),
            ("unsupported", "2 inputs in this phase (data, label)"),
            (None, ""),
        ),
        *(
            (name, content, (kind, words), (kind, words))
            for name, content, kind, words in (
                ("typo", _DATA.replace("name:", "nme:"), "data", 'no field named "nme"'),
                ("solver", "base_lr: 0.1\n", "data", "is a solver's file"),
                ("hollow", 'name: "x"\n', "data", "has no layers"),
                ("binary", "\xff\xfe\x00", "data", "is not text"),
                ("foo", _DATA + _BODY.replace("ReLU", "Foo"), "unsupported", "does not have (Foo)"),
                (
                    "database",
                    'layer { name: "in" type: "Data" top: "data" top: "label" }\n' + _BODY,
                    "unsupported",
                    "reads a dataset in its layer in",
                ),
            )
        ),
    )
}
