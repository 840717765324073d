"""From a plan to the engine's own JSON, purely."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from orchestrator.plan import Mount, Plan, Ulimit

# The launcher sends its output to the run folder; the engine's log holds banners alone.
LOG: Final = {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}}


def container_config(
    plan: Plan, *, labels: Mapping[str, str], ulimits: tuple[Ulimit, ...]
) -> dict[str, Any]:
    """Return the body of the API's `POST /containers/create`, safety defaults included.

    The image's entrypoint stays: a vendor's one prepares the environment and then executes argv.
    """
    image = plan.image_id or plan.image
    if image is None:
        raise ValueError("a plan for the docker runtime names an image")
    config: dict[str, Any] = {
        "Image": image,
        "Cmd": list(plan.argv),
        "Env": [f"{name}={value}" for name, value in plan.environment.items()],
        "Labels": dict(labels),
        "HostConfig": _host_config(plan, ulimits),
    }
    if plan.user is not None:
        config["User"] = plan.user
    return config


def _host_config(plan: Plan, ulimits: tuple[Ulimit, ...]) -> dict[str, Any]:
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
    if plan.limits.shm_size is not None:
        host["ShmSize"] = plan.limits.shm_size
    if plan.limits.memory is not None:
        # Docker's default would allow as much swap again.
        host |= {"Memory": plan.limits.memory, "MemorySwap": plan.limits.memory}
    if plan.limits.pids is not None:
        host["PidsLimit"] = plan.limits.pids
    if plan.gpus:
        request = {"Driver": "", "DeviceIDs": list(plan.gpus), "Capabilities": [["gpu"]]}
        host["DeviceRequests"] = [request]
    return host


def _bind(mount: Mount) -> dict[str, Any]:
    """Return a mount; unlike the older `Binds`, it refuses a source that is missing."""
    return {
        "Type": "bind",
        "Source": str(mount.source),
        "Target": mount.target,
        "ReadOnly": mount.read_only,
    }


def granted_gpus(inspected: Mapping[str, Any]) -> frozenset[str]:
    """Return the device ids that a created container asks for, as the engine kept them."""
    requests = inspected["HostConfig"].get("DeviceRequests") or ()
    return frozenset(device for request in requests for device in request["DeviceIDs"] or ())
