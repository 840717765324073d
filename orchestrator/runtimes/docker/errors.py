"""Explains a container engine's refusals in one line each, with a fix."""

from __future__ import annotations

import re
from typing import Final

from orchestrator.errors import BenchdockError, EngineError, ImageError, MachineError

LONGEST_TEXT: Final = 300

# What runc and containerd print before the cause, outermost first.
_WRAPPING: Final = re.compile(
    r"(?<![\w/])(failed to create (shim task|task for container)"
    r"|OCI runtime create failed|runc create failed|crun"
    r"|unable to start container process"
    r"|error during container init|error setting rlimits for ready process"
    r"|Error response from daemon): "
)

# setrlimit(2) on Linux; runc gives a limit's number, crun its constant.
_RLIMITS: Final = {
    0: "cpu",
    1: "fsize",
    2: "data",
    3: "stack",
    4: "core",
    5: "rss",
    6: "nproc",
    7: "nofile",
    8: "memlock",
    9: "as",
    10: "locks",
    11: "sigpending",
    12: "msgqueue",
    13: "nice",
    14: "rtprio",
    15: "rttime",
}
_REFUSED_RLIMIT: Final = re.compile(
    r"error setting rlimit type (?P<number>\d+)|setrlimit `?RLIMIT_(?P<name>[A-Z]+)"
)


class RefusedError(EngineError):
    """The engine refused. `status` is the HTTP status, `text` is the engine's message."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = one_line(text)
        super().__init__(f"the container engine refused: {self.text}")


class LostError(EngineError):
    """The engine did not answer, or its answer was cut off."""

    def __init__(self, address: str, text: str) -> None:
        super().__init__(
            f"the container engine at {address} does not answer: {one_line(text)}",
            hint="is it running? see `benchdock doctor`",
        )


class SenselessError(RefusedError):
    """The engine, or a proxy in front of it, gave an answer that no engine gives."""

    def __init__(self, address: str, error: BaseException) -> None:
        told = one_line(str(error))
        super().__init__(0, f"the answer makes no sense ({type(error).__name__}: {told})")
        self.what = f"the answer of the container engine at {address} makes no sense: {told}"
        self.hint = "is it Docker? see `benchdock doctor`"
        self.args = (f"{self.what}; {self.hint}",)


def one_line(text: str) -> str:
    """Return the cause without runc's wrapping, as one line of limited length."""
    cause = _WRAPPING.sub("", " ".join(text.split())).removesuffix(": unknown")
    return cause if len(cause) <= LONGEST_TEXT else cause[: LONGEST_TEXT - 1] + "…"


def refused_ulimit(text: str) -> str | None:
    """Return the name of the ulimit that the host refused to set, if that is what happened.

    A daemon without CAP_SYS_RESOURCE cannot raise a hard limit.
    """
    found = _REFUSED_RLIMIT.search(text)
    if found is None:
        return None
    if found["number"] is not None:
        return _RLIMITS.get(int(found["number"]))
    return found["name"].lower()


_Row = tuple[str, type[MachineError], str, str]

# Pattern in the engine's text, class, message (with groups and {image} filled in), hint. The first
# match counts. A missing program is among them only if the engine starts it itself; its init
# program starts anyway, prints `exec nosuch failed` and exits with 127.
_REFUSALS: Final[tuple[_Row, ...]] = (
    (
        r"unresolvable CDI devices? (?P<name>[^\s:,\"]+)",
        MachineError,
        "the container engine does not know the device {name}: the NVIDIA container toolkit has "
        "not written its CDI specification",
        "run `sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`, and `nvidia-ctk cdi "
        "list` to see the names; or run on the CPU with --gpus none",
    ),
    (
        r"could not select device driver \"?cdi|CDI (?:support )?(?:is )?(?:disabled|not enabled)",
        MachineError,
        "the container engine cannot provide devices through CDI: the feature is off",
        'add {"features": {"cdi": true}} to the engine\'s daemon.json and restart the engine; '
        "or run on the CPU with --gpus none",
    ),
    (
        r"could not select device driver|failed to discover GPU vendor from CDI",
        MachineError,
        "the container engine cannot give containers access to GPUs: the NVIDIA container toolkit "
        "is missing",
        "install nvidia-container-toolkit, run `nvidia-ctk runtime configure --runtime=docker`, "
        "restart the engine; or run on the CPU with --gpus none",
    ),
    (
        r"[Uu]nknown (?:or invalid )?runtime (?:specified|name:?) (?P<name>[^\s:,]+)",
        MachineError,
        "the container engine has no runtime {name}",
        "run `docker info` to list its runtimes; for nvidia, install nvidia-container-toolkit, "
        "run `sudo nvidia-ctk runtime configure --runtime=docker` and restart the engine",
    ),
    (
        r"unable to retrieve OCI runtime error.*?(?:exec: \"|fork/exec )(?P<program>[^\":]+)"
        r"|(?:exec: \"|fork/exec |stat )(?P<tool>[^\":]*nvidia-(?:container-runtime|ctk|cdi-hook)"
        r"[^\":]*)[\"]?: (?:executable file not found|no such file)",
        MachineError,
        "the container engine's runtime {program}{tool} is missing on this machine",
        "install it (NVIDIA's are in nvidia-container-toolkit), or remove the runtime from the "
        "engine's daemon.json and restart the engine",
    ),
    (
        r"nvidia-container-cli: .*(?:bpf_prog_query\(BPF_CGROUP_DEVICE\)|device filters attached|"
        r"cgroup subsystem devices not found|container cgroup path not found|"
        r"failed to add device rules)",
        MachineError,
        "the NVIDIA container toolkit cannot set device rules in a cgroup, which is normal for "
        "rootless engines",
        "run `sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place` and try "
        "again",
    ),
    (
        r"rootless needs no limits|cgroup is not mounted|no permission is granted for cgroups",
        MachineError,
        "the container engine cannot set memory or process limits, which is normal for rootless "
        "engines",
        "remove --memory and --pids, or delegate the cgroup controllers to the engine's user",
    ),
    (
        r"nvidia-container-cli: (?P<cause>.+?)(: unknown)?$",
        MachineError,
        "the NVIDIA container toolkit refuses: {cause}",
        "run `nvidia-smi` on the host to check driver and GPUs",
    ),
    (
        r"No such image: (?P<name>\S+)",
        ImageError,
        "the container engine has no image {name}",
        "run `benchdock images` to list the images and how to get them",
    ),
    (
        r"bind source path does not exist: (?P<path>.+)",
        MachineError,
        "the container engine does not see {path}",
        "share that folder with the engine if it is remote or in a virtual machine",
    ),
    (
        r"container-init binary not found|\"docker-init\": executable file not found",
        MachineError,
        "the container engine has no init program (docker-init or catatonit)",
        "install docker-init (part of Docker's packages), or catatonit for podman",
    ),
    (
        r"(?:exec: \"|executable file `)(?P<program>[^\"`]+)[\"`]:? (?:executable file )?not found",
        ImageError,
        "image {image} has no {program}",
        "use an image with bash: benchdock's launchers are bash scripts",
    ),
    (
        r"unable to find (user|group) (?P<who>[^:]+): no matching entries",
        ImageError,
        "image {image} has no user {who}",
        "use a numeric user id",
    ),
    (
        r"no space left on device",
        MachineError,
        "the container engine's disk is full",
        "run `benchdock images prune` to free space, or `docker system df` to see what uses it",
    ),
    (
        r"(?P<cause>Minimum memory limit allowed is \w+)|container init was OOM-killed",
        MachineError,
        "the memory limit is too small for a container to start",
        "raise --memory",
    ),
    (
        r"network (?P<name>\S+) not found",
        MachineError,
        "the container engine has no network {name}",
        "run `docker network ls` to list networks",
    ),
    (
        r"(?i)(unknown|invalid) capability[^\"]*\"?(?P<name>\w*)",
        MachineError,
        "the container engine does not know the capability {name}",
        "correct the capabilities in dockerfiles/images.toml",
    ),
    (
        r"error setting rlimit|setrlimit",
        MachineError,
        "the host refuses a ulimit that the engine itself sets for every container",
        "lower default-ulimits in the engine's configuration",
    ),
)


def explain(refused: RefusedError, *, image: str) -> BenchdockError:
    """Return the error that explains why a container of `image` cannot be started."""
    for pattern, kind, what, hint in _REFUSALS:
        found = re.search(pattern, refused.text)
        if found is not None:
            words = {name: text or "" for name, text in found.groupdict().items()}
            return kind(what.format(image=image, **words), hint=hint)
    return EngineError(f"the container engine cannot start image {image}: {refused.text}")
