"""What of the caller's environment a program on the host gets."""

from __future__ import annotations

import os

# No tokens, no proxies with passwords. LD_LIBRARY_PATH finds the GPU driver on systems that keep it
# in unusual places, and the libraries of a cluster's module.
NAMES = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LD_LIBRARY_PATH")


def variables() -> dict[str, str]:
    """Return the variables that every program on the host gets."""
    clean = {name: os.environ[name] for name in NAMES if name in os.environ}
    clean.setdefault("PATH", os.defpath)
    return clean | {"LANG": "C.UTF-8", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
