"""Turns a plan into the engine's JSON, as a pure function."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.plan import Mount, Plan, Ulimit
from orchestrator.runtimes.docker import cdi

# The launcher sends its output to the run folder; the engine's log only holds banners.
LOG: Final = {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}}


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """How an engine restricts containers' access to the host's files, beyond what every engine
    does.

    `rootless`: root in a container is the engine's user on the host, who is the caller.
    `user_namespaces`: each id in a container is another one on the host. `selinux`: a container
    reads only files of the host that have its label.
    """

    rootless: bool = False
    user_namespaces: bool = False
    selinux: bool = False

    @classmethod
    def told_by(cls, info: Mapping[str, Any]) -> Isolation:
        """Read it from an engine's description of itself."""
        options = info.get("SecurityOptions") or ()
        names = {option.partition(",")[0].removeprefix("name=") for option in options}
        rootless = "rootless" in names
        return cls(
            rootless=rootless,
            user_namespaces="userns" in names and not rootless,
            selinux="selinux" in names,
        )

    def notes(self) -> tuple[str, ...]:
        """Return notes for the reader of the result."""
        if not self.user_namespaces:
            return ()
        return ("the engine maps user ids; this container ran with those of the host",)


def container_config(
    plan: Plan,
    *,
    labels: Mapping[str, str],
    ulimits: tuple[Ulimit, ...],
    isolation: Isolation = Isolation(),
    cdi_names: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Return the body of the API's `POST /containers/create`, including the safe defaults.

    The image's entrypoint stays: a vendor's entrypoint prepares the environment and then executes
    argv. `cdi_names` are those of the plan's GPUs, empty if the engine does not know them.
    """
    image = plan.image_id or plan.image
    if image is None:
        raise ValueError("a plan for the docker runtime needs an image")
    config: dict[str, Any] = {
        "Image": image,
        "Cmd": list(plan.argv),
        "Env": [f"{name}={value}" for name, value in _environment(plan).items()],
        "Labels": dict(labels),
        "HostConfig": _host_config(plan, ulimits, isolation, cdi_names),
    }
    if plan.network == "none":
        # Without a network the engine does not resolve the container's own name, which Gloo looks
        # up: Horovod dies of it.
        config["Hostname"] = "localhost"
    if plan.user is not None:
        config["User"] = _user(plan.user, isolation)
    return config


def _environment(plan: Plan) -> dict[str, str]:
    """Hide all GPUs from a run on the CPU.

    NVIDIA's images ask for all GPUs by a variable, which an engine whose default runtime is
    NVIDIA's grants without any request.
    """
    return plan.environment if plan.gpus else {"NVIDIA_VISIBLE_DEVICES": "void", **plan.environment}


def _user(user: str, isolation: Isolation) -> str:
    """Return the ids in the container that correspond to the caller's on the host."""
    mine = f"{os.getuid()}:{os.getgid()}"
    return "0:0" if isolation.rootless and user == mine else user


def _host_config(
    plan: Plan, ulimits: tuple[Ulimit, ...], isolation: Isolation, cdi_names: tuple[str, ...]
) -> dict[str, Any]:
    host: dict[str, Any] = {
        "Init": True,
        "NetworkMode": plan.network,
        "CapDrop": ["ALL"],
        "CapAdd": list(plan.capabilities),
        "SecurityOpt": ["no-new-privileges"],
        "LogConfig": LOG,
        "Mounts": [_bind(mount) for mount in plan.mounts],
        "Ulimits": [{"Name": u.name, "Soft": u.soft, "Hard": u.hard} for u in ulimits],
    }
    # The run folder belongs to the caller, and so does what the user mounts: the container must see
    # it unchanged. Files are not relabelled: a dataset belongs to its owner.
    if isolation.user_namespaces:
        host["UsernsMode"] = "host"
    if isolation.selinux:
        host["SecurityOpt"].append("label=disable")
    if plan.limits.shm_size is not None:
        host["ShmSize"] = plan.limits.shm_size
    if plan.limits.memory is not None:
        # Docker's default would allow as much swap again.
        host |= {"Memory": plan.limits.memory, "MemorySwap": plan.limits.memory}
    if plan.limits.pids is not None:
        host["PidsLimit"] = plan.limits.pids
    if cdi_names:
        host["DeviceRequests"] = [{"Driver": cdi.DRIVER, "DeviceIDs": list(cdi_names)}]
    elif plan.gpus:
        request = {"Driver": "", "DeviceIDs": list(plan.gpus), "Capabilities": [["gpu"]]}
        host["DeviceRequests"] = [request]
    return host


def _bind(mount: Mount) -> dict[str, Any]:
    """Return a mount; unlike the older `Binds`, it refuses a missing source."""
    return {
        "Type": "bind",
        "Source": str(mount.source),
        "Target": mount.target,
        "ReadOnly": mount.read_only,
    }


def granted_gpus(inspected: Mapping[str, Any]) -> frozenset[str]:
    """Return the GPUs that a created container requests, as the engine stored them."""
    requests = inspected["HostConfig"].get("DeviceRequests") or ()
    return frozenset(
        device.removeprefix(cdi.PREFIX)
        for request in requests
        for device in request["DeviceIDs"] or ()
    )
