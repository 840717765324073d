"""What of the caller's environment a program on the host gets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import PurePath

# No tokens, no proxies with passwords. LD_LIBRARY_PATH finds the GPU driver on systems that keep it
# in unusual places, and the libraries of a cluster's module.
NAMES = ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LD_LIBRARY_PATH")


def variables(prefix: Sequence[str] = ()) -> dict[str, str]:
    """Return the variables that every program on the host gets.

    A `prefix` that starts with srun gets Slurm's, too: it would ask for another job without them.
    """
    by_slurm = bool(prefix) and PurePath(prefix[0]).name == "srun"
    clean = {
        name: text
        for name, text in os.environ.items()
        if name in NAMES or (by_slurm and name.startswith("SLURM_"))
    }
    clean.setdefault("PATH", os.defpath)
    return clean | {"LANG": "C.UTF-8", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
