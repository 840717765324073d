"""An entry of the framework table: how to run a framework's benchmark, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.request import Device, Dtype, Phase

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


@dataclass(frozen=True, kw_only=True)
class Unfit:
    """What a program cannot do with some of its networks, and why.

    Empty `networks` means all of them, empty `phases` every phase, empty `dtypes` every number
    type.
    """

    why: str
    networks: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = ()
    dtypes: tuple[Dtype, ...] = ()

    def forbids(self, model: str, phase: Phase, dtype: Dtype) -> bool:
        """Whether this applies to a network in a phase and a number type."""
        return (
            model in (self.networks or (model,))
            and phase in (self.phases or (phase,))
            and dtype in (self.dtypes or (dtype,))
        )


@dataclass(frozen=True, kw_only=True)
class LaterSource:
    """A state of a vendor's program that is too new for the row's images, and the images it needs.

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
class Framework:
    """One entry of the framework table: a framework with our own program, or a vendor's program.

    `dtypes` lists what can run per device and phase; `gaps` names the models that our backend does
    not support, with the reason; `images` are per device; `options` are by name; `files` are the
    file name endings of the users' networks that it accepts.

    The rest is only for vendors' programs (`ours` is false):
    networks: our name of each network -> the program's; None: the zoo's, which `backend` writes for
        the program. With `any_network` the model is just a name.
    source: what the folder of `--source` must be; "" if the program needs none.
    unfit: what it does not support with some of these networks.
    differs: our name of a network -> how the program's version differs from the zoo's, if that
        changes the computation, or what it needs.
    later_source: a state of that folder that needs other images.
    entry: a path that this folder must contain, relative to it.
    home: the program's folder in an image, used without `--source`.
    holds: the devices whose default image contains the program; others need `--image`.
    unfit_tags: parts of an image's tag that show that it has a different program -> the reason and
        what to do.
    flags: whether flag.NAME=VALUE is passed on too.
    variants: the entry of each fork or release, by the value of the option `variant_option`; if
        that is not given the image decides (`variants.settle`).
    warmup, steps: the number of steps that the program always leaves out, and times; None if they
        can be chosen.
    windows: it prints rates of windows of steps, and the first window is the warm-up.
    least_steps: the fewest timed steps for which it prints a result.
    least_steps_where: the same for some releases, by a text in `entry` that only they have.
    block: how many steps it times at once; the number of steps must be a multiple.
    refuses, ignores: fields of a request that do not apply to the program, with the reason; those
        that would change the measurement are refused.
    remark: a note for each of its results.
    processes: whether its launcher starts one process per device: "always", "never", or the option
        `NAME=VALUE` that makes it do so.
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
        """Whether one process per device is started with these options."""
        name, _, value = self.processes.partition("=")
        return self.processes == "always" or bool(value and options.get(name) == value)

    @property
    def is_our_program(self) -> bool:
        """Whether it runs our own program, which chooses the defaults of its options."""
        return self.program == "benchdock"
