"""GPUs by the names of the Container Device Interface (CDI), if the engine knows them.

Docker lists the devices that it found from 28.2 on, where CDI is on by default; podman takes such
names over Docker's API from 5.4 on, and ignores other requests for GPUs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

PREFIX: Final = "nvidia.com/gpu="
DRIVER: Final = "cdi"
_PODMAN = (5, 4)


def names(
    engine: str, version: str, info: Mapping[str, Any], gpus: Sequence[str]
) -> tuple[str, ...]:
    """Return the CDI names of GPUs (UUIDs); empty if the engine must be asked in the older way."""
    wanted = tuple(f"{PREFIX}{gpu}" for gpu in gpus)
    if engine == "podman":
        return wanted if is_known_to_podman(version) else ()
    known = {device.get("ID") for device in info.get("DiscoveredDevices") or ()}
    return wanted if known.issuperset(wanted) else ()


def is_known_to_podman(version: str) -> bool:
    """Whether podman takes the names over Docker's API."""
    return _numbers(version) >= _PODMAN


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(word) for word in re.findall(r"\d+", version)[:2])
