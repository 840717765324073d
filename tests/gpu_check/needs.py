"""What the check needs, and exactly what of it is missing."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from orchestrator.machine import gpu, inventory

_LOOK = """
import json
found = {}
try:
    import numpy
    found["numpy"] = numpy.__version__
except ImportError as error:
    found["no_numpy"] = str(error)
try:
    import torch
    found["torch"], found["cuda"] = torch.__version__, torch.version.cuda
    try:
        torch.cuda.init()
        found["devices"] = torch.cuda.device_count()
        found["name"] = torch.cuda.get_device_name(0)
    except Exception as error:
        found["no_cuda"] = " ".join(str(error).split())[:200]
except ImportError as error:
    found["no_torch"] = str(error)
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Need:
    """One thing: whether it is there, and what to do if not."""

    name: str
    there: bool
    detail: str


def of_driver() -> Need:
    """Look for a GPU through the driver."""
    found = gpu.report()
    if found.gpus:
        names = ", ".join(one.name for one in found.gpus)
        return Need("GPU and driver", True, f"{names}, driver {found.driver}")
    on_bus = "has an NVIDIA GPU" if inventory.has_nvidia_device() else "has no NVIDIA GPU"
    return Need("GPU and driver", False, f"{found.reason}; the PCI bus {on_bus}")


def of_python(python: str) -> tuple[Need, ...]:
    """Look at the Python that is to run the frameworks."""
    if not python:
        return (Need("PYTHON", False, "make gpu-check PYTHON=PATH names one with PyTorch"),)
    path = Path(python).expanduser()
    path = path / "bin" / "python" if path.is_dir() else path
    try:
        done = subprocess.run(
            [str(path), "-c", _LOOK], capture_output=True, text=True, timeout=120, check=True
        )
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return (Need("PYTHON", False, f"{path} does not answer: {error}"),)
    cuda = found.get("cuda")
    return (
        Need("PYTHON", True, str(path)),
        Need("NumPy in it", "numpy" in found, found.get("numpy") or found["no_numpy"]),
        Need("PyTorch in it", "torch" in found, found.get("torch") or found["no_torch"]),
        Need(
            "CUDA in PyTorch",
            bool(cuda),
            f"built for CUDA {cuda}" if cuda else "PyTorch was built without CUDA",
        ),
        Need(
            "a GPU that PyTorch can use",
            "name" in found,
            found.get("name") or found.get("no_cuda", "PyTorch is missing"),
        ),
    )
