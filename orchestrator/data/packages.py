"""The packages that work with datasets needs beyond benchdock's own (extra `data`)."""

from __future__ import annotations

from importlib.util import find_spec

from orchestrator.errors import MachineError
from orchestrator.installation import extra

PILLOW, NUMPY, LMDB, CRC32C = "PIL", "numpy", "lmdb", "google_crc32c"
_TITLES = {PILLOW: "Pillow", NUMPY: "NumPy", LMDB: "lmdb", CRC32C: "google-crc32c"}


def need(what: str, *modules: str) -> None:
    """Raise MachineError that says how to install the modules that are missing."""
    missing = [_TITLES[module] for module in modules if find_spec(module) is None]
    if missing:
        noun = "package" if len(missing) == 1 else "packages"
        raise MachineError(
            f"{what} needs the {noun} {' and '.join(missing)}", hint=f"run `{extra('data')}`"
        )
