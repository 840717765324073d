"""An entry of the framework table: how to run a framework's benchmark, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from backends.options import NUMBER, is_number
from orchestrator.errors import RequestError
from orchestrator.units import counted

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.request import Device, Dtype, Phase, Request

# `--option flag.NAME=VALUE` passes --NAME=VALUE to the program.
FLAG = "flag."
# Short names of frameworks, or names of their programs: too different from the name to be found as
# its misspelling.
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
    """An `--option` of a program: what it does, its default and its values.

    Any text is valid if `values` is empty. `needs` are flags and values of the program that some
    releases do not have, by the value that needs one, or "" if all values but the default do.
    """

    meaning: str
    default: str = ""
    values: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)

    def accepts(self, text: str) -> bool:
        """Whether the option may have a value."""
        if not self.values or text in self.values:
            return True
        return NUMBER[0] in self.values and is_number(text)


# Options of benchdock itself, which every program that reads data has.
PAGE_CACHE = "page_cache"
OF_BENCHDOCK: Mapping[str, Option] = {
    PAGE_CACHE: Option(
        "bring the data out of the machine's page cache before the run, or into it",
        values=("cold", "warm"),
    )
}


@dataclass(frozen=True, kw_only=True)
class Unfit:
    """What a program cannot do with some of its networks, and why.

    Empty `networks` means all of them, empty `phases` every phase, empty `dtypes` every number
    type. With `files`, it is about networks in files of the user's only.
    """

    why: str
    networks: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = ()
    dtypes: tuple[Dtype, ...] = ()
    files: bool = False

    def forbids(self, model: str, phase: Phase, dtype: Dtype, *, of_file: bool = False) -> bool:
        """Whether this applies to a network, in a file of the user's or not."""
        return (
            (of_file or not self.files)
            and model in (self.networks or (model,))
            and phase in (self.phases or (phase,))
            and dtype in (self.dtypes or (dtype,))
        )


@dataclass(frozen=True, kw_only=True)
class LaterSource:
    """A state of a program that is too new for its framework's images, and the images it needs.

    The folder of `--source` is in that state if its `file` contains `word`. It runs in the releases
    `first` to `last` of `framework`, whose `title` messages name, and in newer ones if the
    environment variable `newer_with` is set. `otherwise` is what to do without such an image.
    """

    file: str
    word: str
    framework: str
    title: str
    first: str
    last: str
    newer_with: str
    images: Mapping[Device, str]
    otherwise: str

    def is_in(self, folder: Path) -> bool:
        """Whether a folder is in that state; False if it cannot be read."""
        try:
            return self.word in (folder / self.file).read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False


@dataclass(frozen=True, kw_only=True)
class StepRules:
    """Which numbers of steps a program can time.

    warmup, steps: the number of steps that it always leaves out, and times; None if they can be
        chosen.
    windows: it prints rates of windows of steps, and the first window is the warm-up.
    least_steps: the fewest timed steps for which it prints a result.
    least_steps_where: the same for some releases, by a text in the program's `entry` that only
        they have.
    block: how many steps it times at once; the number of steps must be a multiple.
    """

    warmup: int | None = None
    steps: int | None = None
    windows: bool = False
    least_steps: int = 1
    least_steps_where: Mapping[str, int] = field(default_factory=dict)
    block: int = 1

    def settle(
        self, name: str, *, steps: int | None, warmup: int | None, usual: tuple[int, int]
    ) -> tuple[int, int]:
        """Return steps and warm-up steps; None and `usual` are what nobody requested.

        `name` is the program's, for messages. Raises RequestError if the program does not support
        such numbers, or the warm-up would leave no timed step.
        """
        timed = self._timed(name, steps, usual[0])
        if self.warmup is not None:
            return timed, _only(self.warmup, warmup, f"{name} always leaves out", "--warmup")
        left_out = warmup if warmup is not None else min(usual[1], timed - 1)
        if left_out >= timed:
            raise RequestError(
                f"the warm-up ({counted(left_out, 'step')}) must be shorter than the timed part "
                f"({counted(timed, 'step')})",
                hint=f"use --warmup {max(0, min(usual[1], timed - 1))} or more --steps",
            )
        if not self.windows:
            return timed, left_out
        window = max(1, left_out)
        return -(-timed // window) * window, window

    def _timed(self, name: str, asked: int | None, usual: int) -> int:
        steps = asked if asked is not None else max(usual, self.least_steps)
        if steps < self.least_steps:
            raise RequestError(
                f"{name} prints no result for fewer than {counted(self.least_steps, 'step')}, got "
                f"{steps}",
                hint=f"use --steps {self.least_steps}",
            )
        if self.steps is not None:
            steps = _only(self.steps, asked, f"{name} always times", "--steps")
        if steps % self.block:
            raise RequestError(
                f"{name} times {self.block} steps at a time, and {steps} is not a multiple of "
                f"{self.block}",
                hint=f"use --steps {(steps // self.block + 1) * self.block}",
            )
        return steps


def _only(fixed: int, asked: int | None, does: str, option: str) -> int:
    """Return a number of steps that cannot be chosen. Raises RequestError if another was."""
    if asked not in (None, fixed):
        raise RequestError(f"{does} {counted(fixed, 'step')}", hint=f"remove {option}")
    return fixed


@dataclass(frozen=True, kw_only=True)
class VendorProgram:
    """What is special about a program that is not ours.

    source_help: what the folder of `--source` must be; "" if the program needs none.
    later_source: a state of that folder that needs other images.
    entry: a path that this folder must contain, relative to it.
    home: the program's folder in an image, used without `--source`.
    holds: the devices whose default image contains the program; others need `--image`.
    unfit_tags: parts of an image's tag that show that it has a different program -> the reason and
        what to do.
    flags: whether flag.NAME=VALUE is passed on too.
    differs: our name of a network -> how the program's version differs from the zoo's, if that
        changes the computation, or what it needs.
    refuses, ignores: fields of a request that do not apply to the program, with the reason; those
        that would change the measurement are refused.
    remark: a note for each of its results.
    """

    source_help: str = ""
    later_source: LaterSource | None = None
    entry: str = ""
    home: str = ""
    holds: tuple[Device, ...] = ()
    unfit_tags: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    flags: bool = False
    differs: Mapping[str, str] = field(default_factory=dict)
    refuses: Mapping[str, str] = field(default_factory=dict)
    ignores: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Framework:
    """One entry of the framework table: what runs where, with our own program or a vendor's.

    dtypes: what can run, per device and phase.
    gaps: the models that our backend does not support, with the reason.
    images: by device.
    options: by name.
    files: the file name endings of the users' networks that it accepts.
    networks: our name of each network -> the program's; None: the zoo's, which `backend` writes for
        a vendor's program. With `any_network` the model is just a name.
    unfit: what it does not support with some of these networks.
    variants: the entry of each fork or release, by the value of the option `variant_option`; if
        that is not given the image decides (`variants.settle`).
    multi_gpu: whether it uses several GPUs; if not, `on_several_gpus` is the framework that can
        train the same networks on them, "" if there is none.
    processes: whether its launcher starts one process per device: "always", "never", or the option
        `NAME=VALUE` that makes it do so.
    ranks: whether several ranks can share the CPUs.
    package: the Python package that it imports; "" if it is no Python program, which --python does
        not apply to.
    ours: whether `benchdock models` lists it: it computes the zoo's networks as they are defined.
    vendor: None for our own programs.
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
    on_several_gpus: str = ""
    networks: Mapping[str, str] | None = None
    any_network: bool = False
    unfit: tuple[Unfit, ...] = ()
    variants: Mapping[str, Framework] = field(default_factory=dict)
    variant_option: str = ""
    processes: str = "never"
    ranks: bool = False
    package: str = ""
    step_rules: StepRules = StepRules()
    ours: bool = True
    vendor: VendorProgram | None = None

    def starts_processes(self, options: Mapping[str, str]) -> bool:
        """Whether one process per device is started with these options."""
        name, _, value = self.processes.partition("=")
        return self.processes == "always" or bool(value and options.get(name) == value)

    @cached_property
    def is_our_program(self) -> bool:
        """Whether it runs our own program, which chooses the defaults of its options."""
        return self.vendor is None


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What benchdock chooses if the request does not say. Warm-up ends by steps and by seconds."""

    batch: int
    steps: int
    warmup: int
    warmup_seconds: float


DEFAULTS: Mapping[Device, Defaults] = {
    "cpu": Defaults(batch=8, steps=20, warmup=3, warmup_seconds=0.0),
    "gpu": Defaults(batch=32, steps=100, warmup=20, warmup_seconds=2.0),
}


def settle_counts(framework: Framework, request: Request, device: Device) -> tuple[int, int, int]:
    """Return (batch, steps, warm-up steps), with defaults for what the request leaves open.

    Raises RequestError if the warm-up would use up all steps, and for counts that a program does
    not support.
    """
    chosen = DEFAULTS[device]
    steps, warmup = framework.step_rules.settle(
        framework.name,
        steps=request.steps,
        warmup=request.warmup,
        usual=(chosen.steps, chosen.warmup),
    )
    return request.batch or chosen.batch, steps, warmup
