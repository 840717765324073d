"""Compares what a log states about its run with what was requested.

A missing statement is not a contradiction, nor is a word that no known program prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from orchestrator.parsers.contract import ParseHints
from orchestrator.request import Device, Dtype, Phase
from orchestrator.units import counted

_SEPARATORS = re.compile(r"[^a-z0-9]+")
_LAYERS = re.compile(r"(?:--layers=| )(\d+)$")
# Evaluation computes no gradients, so it counts as inference.
_INFERENCE = re.compile(r"forward|eval|infer|val$|pred|test", re.IGNORECASE)
_TRAINING = re.compile(r"train", re.IGNORECASE)
_DTYPES: Mapping[str, Dtype] = {
    **dict.fromkeys(("fp32", "float32", "float", "f32", "single"), "float32"),
    "tf32": "tf32",
    **dict.fromkeys(("fp16", "float16", "half", "half2", "f16", "amp", "ampfloat16"), "float16"),
    "mixedfloat16": "float16",
    **dict.fromkeys(("bf16", "bfloat16", "ampbfloat16", "mixedbfloat16"), "bfloat16"),
    "int8": "int8",
}
_DEVICES: Mapping[str, Device] = {"cpu": "cpu", "gpu": "gpu", "cuda": "gpu"}


class _Difference(NamedTuple):
    """A fact of the log, what the log says, what was requested, and how to request the former."""

    fact: str
    said: str
    asked: str
    instead: str


def phase_of(word: str) -> Phase | None:
    """Return the phase for a program's word for its mode, None for an unknown word.

    `training + evaluation` trains.
    """
    if _TRAINING.search(word):
        return "training"
    return "inference" if _INFERENCE.search(word) else None


def dtype_of(word: str) -> Dtype | None:
    """Return the number type for a program's word, None for an unknown word."""
    return _DTYPES.get(_folded(word))


def device_of(word: str) -> Device | None:
    """Return the kind of device for a word such as `gpu(0)` or `cuda`."""
    found = re.match(r"cpu|gpu|cuda", word.lower())
    return _DEVICES[found[0]] if found else None


def contradiction(
    stated: Mapping[str, Any], hints: ParseHints, synonyms: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """Return the fact of a log that contradicts the request, and a sentence that says so.

    Both are "" if none does. `stated` are facts by name: model, layers, mode, phase, dtype, batch
    (per device), global_batch, devices, device. `synonyms` maps names of models as a program prints
    them to the names that it accepts.
    """
    for found in _differences(stated, hints, synonyms or {}):
        remedy = f"use {found.instead}"
        if hints.planned:
            remedy += ", or remove what changes it"
        said = f"the log says {found.said}, not {found.asked} as requested: {remedy}"
        return found.fact, said
    return "", ""


def _differences(
    stated: Mapping[str, Any], hints: ParseHints, synonyms: Mapping[str, str]
) -> Iterator[_Difference]:
    yield from _models(stated, hints, synonyms)
    for fact in ("mode", "phase"):
        word = str(stated.get(fact, ""))
        phase = phase_of(word)
        if None not in (phase, hints.phase) and phase != hints.phase:
            said = _meaning(word, phase)
            yield _Difference(fact, said, str(hints.phase), f"--phase {phase}")
    yield from _dtypes(stated, hints)
    yield from _counts(stated, hints)
    device = device_of(str(stated.get("device", "")))
    if device is not None and hints.device is not None and device != hints.device:
        gpus = "--gpus none" if device == "cpu" else "--gpus 0"
        yield _Difference(
            "device", f"it ran on the {device.upper()}", f"the {hints.device.upper()}", gpus
        )


def _models(
    stated: Mapping[str, Any], hints: ParseHints, synonyms: Mapping[str, str]
) -> Iterator[_Difference]:
    if hints.model is None:
        return
    network = hints.network or ""
    known = {_folded(name) for name in (hints.model, network, *network.split()[:1])}
    printed = stated.get("model")
    if isinstance(printed, str) and printed:
        names = {printed, synonyms.get(printed, printed), printed.partition(".")[0]}
        if not known & {_folded(name) for name in names}:
            yield _Difference("model", f"model {printed}", hints.model, f"{printed} as MODEL")
    layers, wanted = stated.get("layers"), _LAYERS.search(network)
    if layers is not None and wanted is not None and int(wanted[1]) != layers:
        yield _Difference("layers", f"{layers} layers", hints.model, f"a MODEL of {layers} layers")


def _dtypes(stated: Mapping[str, Any], hints: ParseHints) -> Iterator[_Difference]:
    word = str(stated.get("dtype", ""))
    dtype = dtype_of(word)
    if None in (dtype, hints.dtype):
        return
    # Few programs have a word for TF32: for the others it is float32.
    alike = {"float32", "tf32"}
    if dtype != hints.dtype and not {dtype, hints.dtype} <= alike:
        yield _Difference("dtype", _meaning(word, dtype), str(hints.dtype), f"--dtype {dtype}")


def _counts(stated: Mapping[str, Any], hints: ParseHints) -> Iterator[_Difference]:
    batch, devices = stated.get("batch"), stated.get("devices")
    if batch and hints.batch not in (None, batch):
        yield _Difference(
            "batch", f"batch {batch} per device", f"batch {hints.batch}", f"--batch {batch}"
        )
    whole = stated.get("global_batch")
    if whole and not batch and hints.batch and hints.devices:
        asked = hints.batch * hints.devices
        if whole != asked:
            said = f"batch {whole} of all devices"
            yield _Difference("global_batch", said, f"batch {asked}", "another --batch")
    if devices and hints.devices not in (None, devices):
        indices = ",".join(map(str, range(min(devices, 64))))
        option = f"--gpus {indices}" if hints.planned else f"--devices {devices}"
        said = counted(devices, "device")
        yield _Difference("devices", said, counted(hints.devices, "device"), option)


def _meaning(word: str, meant: str | None) -> str:
    return word if word == meant else f"{word!r}, which is {meant}"


def _folded(name: str) -> str:
    return _SEPARATORS.sub("", name.lower())
