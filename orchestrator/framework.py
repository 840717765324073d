"""What a row of the framework table says: how something is benchmarked, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.request import Device, Dtype, Phase

# `--option flag.NAME=VALUE` hands --NAME=VALUE to a program as it is.
FLAG = "flag."
# What people call frameworks in short, or by their programs: too little in common with the name to
# be its misspelling.
SHORT_NAMES = {
    "giexec": "tensorrt",
    "ort": "onnxruntime",
    "tf": "tensorflow",
    "torch": "pytorch",
    "trt": "tensorrt",
    "trtexec": "tensorrt",
}


@dataclass(frozen=True)
class Option:
    """An `--option` of a program: what it does, what it is unless given, its values.

    Without `values` any text is taken. `flag` is the program's own flag that another value than the
    default needs, if some releases of the program do not have it.
    """

    meaning: str
    default: str = ""
    values: tuple[str, ...] = ()
    flag: str = ""


@dataclass(frozen=True, kw_only=True)
class Unfit:
    """What a program cannot do with some of its networks, and why.

    Without `networks` with none of them, without `phases` in every phase, without `dtypes` in every
    number type.
    """

    why: str
    networks: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = ()
    dtypes: tuple[Dtype, ...] = ()

    def forbids(self, model: str, phase: Phase, dtype: Dtype) -> bool:
        """Whether it is about a network in a phase and a number type."""
        return (
            model in (self.networks or (model,))
            and phase in (self.phases or (phase,))
            and dtype in (self.dtypes or (dtype,))
        )


@dataclass(frozen=True, kw_only=True)
class LaterSource:
    """A state of a vendor's program that the row's images are too old for, and those it needs.

    The folder that `--source` gives is in that state if its `file` holds `word`.
    """

    file: str
    word: str
    images: Mapping[Device, str]

    def is_in(self, folder: Path) -> bool:
        """Whether a folder has it; one that cannot be read has not."""
        try:
            return self.word in (folder / self.file).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False


@dataclass(frozen=True, kw_only=True)
class Framework:
    """One row of the framework table: a framework with our own program, or a vendor's program.

    `dtypes` tells per device and phase what can run; `gaps` names the models that a backend of
    ours cannot draw, with the reason; `images` are per device; `options` are by name; `files` are
    the ends of names of the users' own networks that it takes.

    The rest is about vendors' programs, for which `ours` is false:
    networks: our name of each network -> the program's own; None: the zoo's, which `backend`
        writes for the program. With `any_network` the model is just a name.
    source: what the folder must be that `--source` gives; "" where the program takes none.
    unfit: what it cannot do with some of these networks.
    differs: by our name of a network: how the program's is not the zoo's of that name, where that
        changes what is computed, or what it needs.
    later_source: a state of that folder that needs other images.
    entry: what that folder must hold, relative to it.
    home: the folder in an image where the program lies without `--source`.
    holds: the devices whose image of this row has it there; other images must be named.
    unfit_tags: parts of an image's tag that tell that it has another program there -> the reason
        and what to do.
    flags: whether flag.NAME=VALUE is handed on too.
    variants: the row as each fork or release has it, by the value of the option `variant_option`;
        where that is not given the image tells (`variants.settle`).
    warmup, steps: the number of steps that the program leaves out, and times, whatever it is told;
        None: it is told.
    windows: it prints rates of windows of steps, and the first window is the warm-up.
    least_steps: the fewest timed steps with which it prints a result.
    least_steps_where: the same of some releases only, by a text in `entry` that tells them.
    block: how many steps it times at once; it can be told multiples of that.
    refuses, ignores: fields of a request that the program has no use for, with the reason; those
        that change what is measured are refused.
    remark: what one has to know of every result of it.
    processes: whether its launcher starts one process per device: "always", "never", or the option
        `NAME=VALUE` with which it does.
    """

    name: str
    title: str
    program: str
    launcher: str
    dtypes: Mapping[tuple[Device, Phase], tuple[Dtype, ...]]
    images: Mapping[Device, str]
    options: Mapping[str, Option] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    backend: str = ""
    aliases: tuple[str, ...] = ()
    gaps: Mapping[str, str] = field(default_factory=dict)
    multi_gpu: bool = True
    ours: bool = True
    networks: Mapping[str, str] | None = None
    unfit: tuple[Unfit, ...] = ()
    differs: Mapping[str, str] = field(default_factory=dict)
    any_network: bool = False
    source: str = ""
    later_source: LaterSource | None = None
    entry: str = ""
    home: str = ""
    holds: tuple[Device, ...] = ()
    unfit_tags: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    flags: bool = False
    variants: Mapping[str, Framework] = field(default_factory=dict)
    variant_option: str = ""
    warmup: int | None = None
    steps: int | None = None
    windows: bool = False
    least_steps: int = 1
    least_steps_where: Mapping[str, int] = field(default_factory=dict)
    block: int = 1
    refuses: Mapping[str, str] = field(default_factory=dict)
    ignores: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""
    processes: str = "never"

    def starts_processes(self, options: Mapping[str, str]) -> bool:
        """Whether there is one process per device with these options."""
        name, _, value = self.processes.partition("=")
        return self.processes == "always" or bool(value and options.get(name) == value)

    @property
    def is_our_program(self) -> bool:
        """Whether it runs our own program, which chooses the options that are not given."""
        return self.program == "benchdock"
