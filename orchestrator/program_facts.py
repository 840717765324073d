"""What a program's log says about its run, beside the measured figures."""

from typing import Annotated, Any

from pydantic import StrictInt, StrictStr

from orchestrator.facts import KNOWN, Count, Fact, Facts, Number, Numbers, Text, Texts, Values

_Line = tuple[StrictInt, StrictStr]


class ProgramFacts(Facts):
    """What a program reported; vendors' programs state other facts too, which are kept.

    The order is the ranking in comparisons.
    """

    model: Annotated[Text, Fact("name of the network", "model", "network", planned="model")] = None
    fingerprint: Annotated[Text, Fact("digest of the network's definition")] = None
    phase: Annotated[Text, Fact("`training` or `inference`", "phase", "work", planned="phase")] = (
        None
    )
    dtype: Annotated[Text, Fact("number type", "dtype", "work", planned="dtype")] = None
    device: Annotated[
        Text, Fact("`cpu` or `gpu`, or the program's word", "device", "work", planned="device")
    ] = None
    devices: Annotated[
        Count,
        Fact(
            "number of devices", "device count", "work", follows=("device",), planned="device_count"
        ),
    ] = None
    batch: Annotated[
        Count, Fact("samples per step", "batch", "work", "per device", planned="batch")
    ] = None
    framework: Annotated[
        Text, Fact("framework that computed", "framework", "program", planned="framework")
    ] = None
    program: Annotated[
        Text,
        Fact("what was timed", "program", "program", follows=("framework",), planned="program"),
    ] = None
    version: Annotated[Text, Fact("version of our program in the image")] = None
    framework_version: Annotated[Text, Fact("version of the framework")] = None
    threads: Annotated[
        Count,
        Fact("CPU threads", "threads", "program", follows=("device", "usable CPUs", "machine")),
    ] = None
    rank_cpus: Annotated[
        Texts,
        Fact(
            "CPUs of each rank, such as `0-3`", "CPUs of the ranks", "program",
            follows=("device count", "usable CPUs", "machine"),
        ),
    ] = None  # fmt: skip
    rank_times: Annotated[
        Numbers, Fact("time of a step of each rank before it waits for the others", unit="s")
    ] = None
    timing: Annotated[
        Text, Fact("how steps are timed", "timing", "program", follows=("framework", "device"))
    ] = None
    options: Annotated[Values, Fact("options as used, by name")] = None
    device_names: Annotated[Texts, Fact("names of the devices")] = None
    parameters: Annotated[Count, Fact("parameters of the network, as published")] = None
    learnable: Annotated[Count, Fact("learnable parameters")] = None
    seed: Annotated[Count, Fact("random seed of weights and data")] = None
    data: Annotated[Text, Fact("`synthetic` or `real`")] = None
    measure: Annotated[Text, Fact("the part of a step on real data that was timed")] = None
    reader: Annotated[
        Values, Fact("how real images are read, with digests of the labels and pixels of the first")
    ] = None
    steps: Annotated[Count, Fact("timed steps that were requested")] = None
    warmup: Annotated[Count, Fact("warm-up steps that were requested")] = None
    warmup_seconds: Annotated[Number, Fact("least time of the warm-up", unit="s")] = None
    mode: Annotated[Text, Fact("the program's word for the phase")] = None
    workers: Annotated[Count, Fact("processes that printed figures")] = None
    image_release: Annotated[Text, Fact("release of NVIDIA's image whose banner is in the log")] = (
        None
    )
    image_product: Annotated[Text, Fact("name of the image whose banner is in the log")] = None
    estimator: Annotated[Text, Fact("how the program computes its figure")] = None
    scope: Annotated[Text, Fact("what the figure covers: `all_devices`, `device` or `rank`")] = None
    windows: Annotated[Values, Fact("printed windows: how many, and which are used")] = None
    evidence: Annotated[
        tuple[_Line, ...] | None,
        KNOWN,
        Fact("numbers and texts of the lines with the figure"),
    ] = None
    blocks: Annotated[
        tuple[dict[str, Any], ...] | None, KNOWN, Fact("the runs, if the log contains several")
    ] = None
    problem: Annotated[Text, Fact("in `blocks`: why that run has no figure")] = None
    prefixes: Annotated[Texts, Fact("whose prefixes were removed from each line")] = None
    known_as: Annotated[Text, Fact("the program that `benchdock parse` detected")] = None
    known_by: Annotated[
        _Line | None, KNOWN, Fact("number and text of the line by which it was detected")
    ] = None
    cells: Annotated[
        tuple[dict[str, Any], ...] | None, KNOWN, Fact("comparisons of a parity program")
    ] = None
    ceilings: Annotated[tuple[dict[str, Any], ...] | None, KNOWN, Fact("figures of a probe")] = None
