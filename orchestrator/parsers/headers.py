"""Headers that several TensorFlow benchmarks print in the same words."""

from __future__ import annotations

import re

from orchestrator.parsers.log import Log
from orchestrator.parsers.numbers import COUNT, Found
from orchestrator.parsers.run import Run
from orchestrator.parsers.vendor import Rule

_KIND = re.compile(r"\b(cpu|gpu):\d")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_ARGUMENTS = {
    "batch_size": "batch",
    "layers": "layers",
    "precision": "dtype",
    "num_iter": "num_iter",
    "iter_unit": "iter_unit",
    "display_every": "display_every",
    "use_xla": "xla",
}
# A note of a run: the devices are of several workers.
HOROVOD = "horovod"
_BOOLEANS = {"True": True, "False": False}


def start(log: Log, found: Found) -> None:
    """Take the version of TensorFlow, which is printed first."""
    log.begin()
    if not found.cut():
        log.run.fact("framework_version", found.text())


def _model(log: Log, found: Found) -> None:
    if not found.cut():
        log.run.fact("model", found.text())


def _mode(log: Log, found: Found) -> None:
    if not found.cut():
        log.run.fact("mode", found.text())


def _global_batch(log: Log, found: Found) -> None:
    log.run.fact("global_batch", found.count())
    devices = log.run.facts.get("devices")
    if devices and found.count() % devices == 0:
        log.run.fact("batch", found.count() // devices)


def _batch(log: Log, found: Found) -> None:
    log.run.fact("batch", int(float(found.text())))
    log.run.notes["batch"] = 1


def _dtype(log: Log, found: Found) -> None:
    if not found.cut():
        log.run.fact("dtype", found.text())


def _devices(log: Log, found: Found) -> None:
    devices = len(_QUOTED.findall(found.text()))
    if devices == 0:
        return
    log.run.fact("devices", devices)
    if kind := _KIND.search(found.text()):
        log.run.fact("device", kind[1])
    log.run.notes[HOROVOD] = int("horovod/" in found.text())
    log.run.notes["own_devices"] = int("horovod/" not in found.text())
    whole = log.run.facts.get("global_batch")
    if whole and whole % devices == 0:
        log.run.fact("batch", whole // devices)


def _horovod(log: Log, found: Found) -> None:
    """Forget the devices that an old release prints, which belong to only one of its processes."""
    del found
    facts, notes = log.run.facts, log.run.notes
    if notes.get("own_devices"):
        facts.pop("devices", None)
        if not notes.get("batch"):
            facts.pop("batch", None)


def _argument(log: Log, found: Found) -> None:
    if found.cut(2):
        return
    name, value = _ARGUMENTS[found.text(1)], found.text(2)
    log.run.fact(name, int(value) if re.fullmatch(COUNT, value) else _BOOLEANS.get(value, value))


def check_end(run: Run) -> None:
    """Refuse a run of NVIDIA's runner whose last window is not the last requested one."""
    wanted, every = run.facts.get("num_iter"), run.facts.get("display_every")
    if not (isinstance(wanted, int) and isinstance(every, int)) or not run.windows.count:
        return
    last = run.windows.last_key[0]
    if run.facts.get("iter_unit") == "batch" and last + every <= wanted:
        run.fail(f"the run stopped after step {last} of {wanted}")


# Python 3 divides the batch, which may give a fraction.
_WHOLE = rf"{COUNT}|\d{{1,15}}\.0(?!\d)"
_ALIGNED = b":  "  # values are in a separate column
MODEL_NAME = re.compile(r"Model: +([\w.+-]{1,80})$")
HEADERS = (
    Rule(_ALIGNED, re.compile(r"TensorFlow: +(\d[\w.+-]{0,40})$"), start),
    Rule(_ALIGNED, MODEL_NAME, _model),
    Rule(_ALIGNED, re.compile(r"Mode: +([\w ,.+-]{1,60})$"), _mode),
    Rule(_ALIGNED, re.compile(rf"Batch size: +({COUNT}) global"), _global_batch),
    Rule(b" per device", re.compile(rf" *({_WHOLE}) per device"), _batch),
    Rule(_ALIGNED, re.compile(r"Devices: +(\[.*\])$"), _devices),
    Rule(_ALIGNED, re.compile(r"Variables: +(horovod)$"), _horovod),
    Rule(_ALIGNED, re.compile(r"Data type: +(\w{1,20})$"), _dtype),
)
# The runner in NVIDIA's containers, of TensorFlow 1 and, with `=`, of TensorFlow 2.
TF_VERSION = re.compile(r"TF (\d[\w.+-]{0,40})$")
ARGUMENT = Rule(
    b"  --", re.compile(rf" *--({'|'.join(_ARGUMENTS)})[ =]([\w.+-]{{1,40}})$"), _argument
)
