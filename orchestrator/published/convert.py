"""Make `published.json` from a collection of published results, in our own words and names.

Run by hand when the collection grows: `python -m orchestrator.published.convert SOURCE`.
A source is a JSON list of objects with the keys of `KEYS`. Free text is not taken over: titles and
addresses stay as provenance, of the notes only the conditions of `CONDITIONS`.
"""

from __future__ import annotations

import collections
import itertools
import json
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator import paths
from orchestrator.published import names
from orchestrator.published.collection import COLUMNS, DATA

Row = Mapping[str, Any]

KEYS = frozenset(
    {"source_url", "source_title", "date", "vendor", "container_or_version", "framework", "model"}
    | {"phase", "precision", "batch_per_gpu", "num_gpus", "gpu", "metric", "value", "notes"}
)


@dataclass(frozen=True, kw_only=True)
class Collection:
    """One publisher's numbers: how they are recognised, called and what produced them."""

    slug: str
    url: str
    publisher: str
    program: str


COLLECTIONS = tuple(
    Collection(slug=slug, url=url, publisher=publisher, program=program)
    for slug, url, publisher, program in (
        ("nvidia-dle", "NVIDIA/DeepLearningExamples/", "NVIDIA", "deeplearningexamples"),
        ("google", "tensorflow/tensorflow/", "Google", "tf_cnn_benchmarks"),
        ("apache", "apache/mxnet/", "Apache MXNet", "mxnet_score"),
        ("lambda", "lambdal/lambda-tensorflow-benchmark/", "Lambda", "tf_cnn_benchmarks"),
        ("lambda", "lambdal/deeplearning-benchmark/", "Lambda", "deeplearningexamples"),
        ("dlperf", "Oneflow-Inc/DLPerf/", "OneFlow", "deeplearningexamples"),
        ("u39kun", "u39kun/deep-learning-benchmark/", "u39kun", "u39kun"),
        ("convnet", "soumith/convnet-benchmarks/", "Soumith Chintala", "convnet-benchmarks"),
        ("ai-matrix", "alibaba/ai-matrix/", "Alibaba", "ai-matrix"),
        ("timm", "huggingface/pytorch-image-models/", "Hugging Face", "timm"),
        ("hpe-dlbs", "HewlettPackard/dlcookbook-dlbs/", "HPE", "nvtfcnn"),
        ("nvidia", "NVIDIA/caffe/", "NVIDIA", "caffe_train"),
        ("perfkit", "GoogleCloudPlatform/PerfKitBenchmarker/", "Google", "deeplearningexamples"),
        ("horovod", "horovod/horovod/", "Uber", "tf_cnn_benchmarks"),
        ("torch2trt", "NVIDIA-AI-IOT/torch2trt/", "NVIDIA", "torch2trt"),
    )
)

# What a note or title must say for a condition to hold, in the order in which they are listed.
CONDITIONS: tuple[tuple[str, str], ...] = (
    ("no-amp", r"without amp"),
    ("no-xla", r"without xla|no XLA"),
    ("xla", r"(?<!out )(?<!no )\bXLA\b|with ?xla|XLA Enabled"),
    ("no-dali", r"no DALI"),
    ("dali", r"with dali|dali-cpu"),
    ("synthetic", r"\bsynthetic\b"),
    ("real", r"\breal\b"),
    ("asp", r"ASP sparsity"),
    ("asp-dense", r"Automatic SParsity"),
    ("static-loss-scale", r"static loss scale"),
    ("dynamic-loss-scale", r"dynamic loss scale"),
    ("distributed-replicated", r"distributed_replicated"),
    ("parameter-server", r"Distributed TensorFlow"),
    ("horovod-tcp", r"TCP Horovod"),
    ("horovod-rdma", r"RDMA Horovod"),
    ("nhwc", r"channels_last"),
    ("nchw", r"NCHW"),
    ("224x224", r"224x224"),
    ("299x299", r"299x299"),
    ("no-dropout", r"dropout and softmax ignored"),
)
# Of these only one can be meant: the first excludes the second.
EXCLUSIVE = (("no-xla", "xla"), ("asp", "asp-dense"), ("no-dali", "dali"), ("synthetic", "real"))
IN_ID = frozenset(
    {"xla", "no-xla", "no-amp", "dali", "no-dali", "synthetic", "real", "asp", "asp-dense"}
    | {"static-loss-scale", "dynamic-loss-scale", "parameter-server"}
    | {"horovod-tcp", "horovod-rdma", "distributed-replicated"}
)

NETWORKS: tuple[tuple[str, str, str], ...] = (
    ("deeplearningexamples", r"resnet50_v1\.5", "stride in the 3x3; never compare with v1"),
    ("tf_cnn_benchmarks", r"resnet\d+", "v1, stride in the first 1x1 as that program has it"),
    ("tf_cnn_benchmarks", r"alexnet", "widths 64-192-384-384-256 without LRN: neither our alexnet "
     "nor our alexnet_owt"),
    ("mxnet_score|mxnet_train_imagenet", r"resnet\d+_v2", "pre-activation (v2)"),
    ("timm|torch2trt", r"resnet\d+_v1\.5", "torchvision's: stride in the 3x3"),
    ("torch2trt", r"alexnet_owt", "torchvision's alexnet: 224 input, padded"),
    ("nvtfcnn", r"resnet50", "as nvidia-examples/cnn/resnet.py builds it"),
)  # fmt: skip
# Networks that a program calls by a name that in our zoo means another one.
RENAMES: tuple[tuple[str, str, str], ...] = (
    ("mxnet_score|mxnet_train_imagenet", r"resnet(\d+)", r"resnet\1_v2"),
    ("timm|torch2trt", r"resnet(50|101|152|200)", r"resnet\1_v1.5"),
    ("torch2trt", r"alexnet", "alexnet_owt"),
)
_CUDA_11 = re.compile(r"CUDA V11")
_TF32_CHIPS = re.compile(r"rtx-3\d\d\d|rtx-4\d\d\d|a100|a6000|ada|h100|h200")
_LIBRARY = re.compile(r"Torch7 \+ (.*?)\s*(?:\(Torch\))?")


def convert(rows: Iterable[Row]) -> tuple[list[dict[str, Any]], list[tuple[Row, str]]]:
    """Return the claims (columns by name, the source as four values) and what was dropped, why."""
    claims: list[dict[str, Any]] = []
    dropped: list[tuple[Row, str]] = []
    for row in rows:
        reason = _unusable(row)
        if reason:
            dropped.append((row, reason))
        else:
            claims.append(_claim(row))
    _flag_repeats(claims)
    _name(claims)
    return claims, dropped


def _unusable(row: Row) -> str:
    if set(row) != KEYS:
        return f"keys are not {', '.join(sorted(KEYS))}"
    if not isinstance(row["value"], int | float) or not row["value"] > 0:
        return f"value {row['value']!r} is no throughput"
    if not any(part.url in row["source_url"] for part in COLLECTIONS):
        return f"unknown source {row['source_url']}"
    return ""


def _claim(row: Row) -> dict[str, Any]:
    part = next(part for part in COLLECTIONS if part.url in row["source_url"])
    text = f"{row['notes']} {row['source_title']}"
    program = _program(part, row)
    gpu = None if row["gpu"].startswith("not stated") else names.gpu(row["gpu"])
    container, version = _container(row)
    model = _model(program, row)
    milliseconds = row["metric"].startswith("ms")
    date = re.search(r"(?:19|20)\d\d(?:-\d\d(?:-\d\d)?)?", row["date"])
    claim = {
        "slug": part.slug,
        "source": (row["source_url"], row["source_title"], date and date[0], part.publisher),
        "model": model,
        "framework": _framework(row),
        "program": program,
        "container": container,
        "version": version,
        "phase": row["phase"],
        "precision": _precision(row, gpu),
        "gpu": gpu,
        "gpus": row["num_gpus"],
        "system": _system(row),
        "batch": row["batch_per_gpu"],
        "value": row["value"],
        "unit": "ms/batch" if milliseconds else "images/s",
        "conditions": _conditions(row, text),
        "network": _network(program, model),
    }
    return claim | {"suspect": _suspect(row, claim, text)}


def _program(part: Collection, row: Row) -> str:
    if part.slug == "apache" and "train_imagenet" in row["notes"]:
        return "mxnet_train_imagenet"
    if part.slug == "nvidia" and row["phase"] == "inference":
        return "caffe_time"
    return part.program


def _model(program: str, row: Row) -> str:
    model = names.model(row["model"])
    for programs, pattern, name in RENAMES:
        if re.fullmatch(programs, program) and re.fullmatch(pattern, model):
            return re.sub(pattern, name, model)
    return model


def _network(program: str, model: str) -> str | None:
    for programs, pattern, network in NETWORKS:
        if re.fullmatch(programs, program) and re.fullmatch(pattern, model):
            return network
    return None


def _framework(row: Row) -> str:
    text = row["framework"]
    if "Paddle-TRT" in row["source_title"]:
        return "paddlepaddle-tensorrt"
    if text.startswith("Torch7"):
        return "torch7"
    text = re.sub(r"-fp(16|32)$", "", re.sub(r"\s*\(.*\)", "", text))
    return names.framework(text)


def _container(row: Row) -> tuple[str | None, str | None]:
    """Return the container's reference where its tag is stated, and the framework's version."""
    text = row["container_or_version"]
    if match := re.match(r"nvcr\.io/nvidia/\w+:\S+", text):
        return match[0], None
    if match := _LIBRARY.fullmatch(row["framework"]):
        return None, re.sub(r"[^a-z0-9.]+", "-", match[1].lower()).strip("-").removeprefix(
            "torch-7-"
        )
    if match := re.search(r"git (\w+)", text):
        return None, f"git-{match[1]}"
    match = re.search(r"(?:TensorFlow|MXNet|PyTorch|NVCaffe) (\d[\w.]*)", text)
    return None, match[1] if match else None


def _precision(row: Row, gpu: str | None) -> str | None:
    text = row["precision"]
    if text.startswith("not stated"):
        return None
    if text == "FP32/TF32 default":
        # PyTorch's convolutions use TF32 wherever the GPU has it, unless told otherwise.
        return "tf32" if gpu and _TF32_CHIPS.search(gpu) else "float32"
    return names.precision(re.sub(r"\s*\(.*\)", "", text))


def _system(row: Row) -> str | None:
    """Name the machine, where the source does: a DGX or a cloud's instance."""
    bracket = re.search(r"\((?:EC2 |GCE )?([a-z0-9-]+\.\w+|n1-[\w-]+|DGX-1)", row["gpu"])
    if bracket:
        return bracket[1].lower()
    match = re.search(r"DGX ?-?(?:A100|\d)", row["source_title"])
    return match[0].lower().replace("dgx1", "dgx-1").replace("dgx2", "dgx-2").replace(" ", "-") \
        if match else None  # fmt: skip


def _conditions(row: Row, text: str) -> list[str]:
    text = text.replace("XLA_LambdaCloud", "")
    found = ["amp"] if row["precision"].startswith("AMP") else []
    found += [name for name, pattern in CONDITIONS if re.search(pattern, text)]
    for first, second in EXCLUSIVE:
        if first in found and second in found:
            found.remove(second)
    if match := re.match(r"([2-9]|\d\d+) node", row["notes"]):
        found.append(f"{match[1]}-nodes")
    if "multi-node" in row["gpu"]:
        found.append("multi-node")
    if row["metric"] == "ms per batch (forward+backward)":
        found.append("no-update")
    return found


def _suspect(row: Row, claim: Mapping[str, Any], text: str) -> list[str]:
    container = row["container_or_version"]
    fp32_on_tf32 = claim["precision"] == "float32" and bool(_TF32_CHIPS.search(claim["gpu"] or ""))
    a100_table = "mxnet:22.10" in container and row["phase"] == "training" and row["num_gpus"] == 1
    reasons: tuple[tuple[str, bool], ...] = (
        ("speedup", a100_table),
        ("heading", "mxnet:19.07" in container and "DGX-2" in text),
        ("container", bool(re.search(r"container (?:and|per) ", row["notes"]))),
        ("half-tag", bool(re.search(r"nvcr\.io/\S+:\d\d\.\d\d(?!-)", container))),
        ("tf32", fp32_on_tf32 and bool(_CUDA_11.search(container))),
        ("tf32-default", row["precision"].startswith("FP32/TF32") and claim["precision"] == "tf32"),
        ("precision", "not stated" in row["precision"]),
        ("gpu", claim["gpu"] is None),
        ("date", claim["source"][2] is None),
        ("batch", "batch inferred" in row["notes"]),
        ("rates", claim["slug"] == "perfkit"),
        ("gpu-count", claim["gpu"] == "k80" and row["num_gpus"] > 1),
        ("unsupported", "banner warned" in row["notes"]),
    )
    return [code for code, holds in reasons if holds]


def _flag_repeats(claims: list[dict[str, Any]]) -> None:
    """Flag numbers that a vendor printed again, unchanged, for a later container.

    One or two equal numbers are chance; a table that is equal in three places or more is a copy.
    """
    by_key: dict[tuple[Any, ...], list[dict[str, Any]]] = collections.defaultdict(list)
    for claim in claims:
        if claim["slug"] == "nvidia-dle" and claim["container"]:
            columns = ("framework", "phase", "precision", "batch", "gpus", "gpu", "value")
            xla = "xla" in claim["conditions"]
            by_key[(xla, *(claim[column] for column in columns))].append(claim)
    pairs = collections.defaultdict(list)
    for group in by_key.values():
        group.sort(key=lambda claim: str(claim["container"]))
        for earlier, later in itertools.pairwise(group):
            if earlier["container"] != later["container"]:
                table = (later["framework"], later["phase"], later["gpu"])
                pairs[table, earlier["container"], later["container"]].append(later)
    for (_, earlier, _), copies in pairs.items():
        if len(copies) >= 3:
            for claim in copies:
                claim["suspect"].append(f"repeats:{earlier.rpartition('/')[2]}")


def _name(claims: list[dict[str, Any]]) -> None:
    """Give every claim an id of its own: by system, then by number, where the rest is equal."""
    for claim in claims:
        claim["id"] = _id(claim)
    for group in _same_id(claims):
        for claim in group:
            claim["id"] += f"-{claim['system']}" if claim["system"] else ""
    for group in _same_id(claims):
        group.sort(key=lambda claim: (claim["source"][2] or "", claim["source"][0]))
        for number, claim in enumerate(group[1:], start=2):
            claim["id"] += f"-{number}"


def _same_id(claims: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    groups = collections.defaultdict(list)
    for claim in claims:
        groups[claim["id"]].append(claim)
    return [group for group in groups.values() if len(group) > 1]


def _id(claim: Mapping[str, Any]) -> str:
    release = claim["version"]
    if claim["container"]:
        release = claim["container"].rpartition(":")[2].partition("-")[0]
    size = f"b{claim['batch']}" if claim["batch"] else ""
    count = f"x{claim['gpus']}" if claim["gpus"] else ""
    words = (
        claim["slug"],
        claim["framework"],
        release,
        claim["model"],
        claim["gpu"],
        claim["precision"],
        claim["phase"],
        size + count,
        *(word for word in claim["conditions"] if word in IN_ID or word.endswith("nodes")),
    )
    return "-".join(str(word) for word in words if word)


def render(claims: list[dict[str, Any]]) -> str:
    """Return the text of the file: one claim a line, sources and networks by their number."""
    sources = {source: n for n, source in enumerate(dict.fromkeys(c["source"] for c in claims))}
    used = dict.fromkeys(claim["network"] for claim in claims if claim["network"])
    networks = {network: number for number, network in enumerate(used)}

    def row(claim: Mapping[str, Any]) -> str:
        values = dict(claim, source=sources[claim["source"]])
        values["network"] = networks.get(claim["network"])
        return _line([values[column] for column in COLUMNS])

    return (
        f'{{"schema":1,\n"columns":{_line(COLUMNS)},\n"networks":{_line(list(networks))},\n'
        f'"sources":[\n{_lines(map(_line, sources))}\n],\n"claims":[\n{_lines(map(row, claims))}\n'
        "]}\n"
    )


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _lines(rows: Iterable[str]) -> str:
    return ",\n".join(rows)


def main() -> int:
    """Convert the file named on the command line; say what was dropped."""
    if len(sys.argv) != 2:
        print("usage: python -m orchestrator.published.convert SOURCE", file=sys.stderr)
        return 2
    rows = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    claims, dropped = convert(rows)
    for row, reason in dropped:
        print(f"dropped: {reason}: {row.get('source_title')}", file=sys.stderr)
    paths.write_aside(DATA, render(claims))
    print(f"{len(rows)} rows: {len(claims)} claims, {len(dropped)} dropped", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
