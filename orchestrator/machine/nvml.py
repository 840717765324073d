"""NVIDIA's management library (NVML), called so that one missing metric costs only itself.

Only this module imports `pynvml`. Import it late: `pynvml` takes 50 ms to load.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, TypeVar

import pynvml

T = TypeVar("T")

ERRORS = (pynvml.NVMLError, pynvml.NVMLLibraryMismatchError)
_MEMORY_V2 = 0x02000028  # v1 counts the driver's reserve as used


class Code(IntEnum):
    """NVML's numbers of the errors that need words."""

    UNINITIALIZED = 1
    NO_PERMISSION = 4
    NOT_LOADED = 9
    TIMEOUT = 10
    NO_LIBRARY = 12
    LOST = 15
    RESET_REQUIRED = 16
    SYSTEM = 17
    MISMATCH = 18
    UNKNOWN = 999


# What says that the whole GPU, or the whole driver, no longer answers.
_GONE = frozenset({Code.UNINITIALIZED, Code.NOT_LOADED, Code.LOST, Code.RESET_REQUIRED})
# What says that a board or driver will never have a metric.
_NEVER = frozenset(
    {
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        pynvml.NVML_ERROR_DEPRECATED,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_INVALID_ARGUMENT,
    }
)
# nvmlFieldValue_t: field, scope, timestamp and latency (us), type, error, value. Unpacked at once:
# pynvml's structures take 10 us for each member that is read, at ten rounds a second.
_FIELD = struct.Struct("=IIqqII8s")
# How a value is packed, by the number of its type (nvmlValueType_t).
_VALUES = tuple(struct.Struct(f"={kind}") for kind in ("d", "I", "Q", "Q", "q", "i", "H"))


@contextmanager
def session() -> Iterator[Any]:
    """Open NVML and close it at the end. Raises one of ERRORS."""
    pynvml.nvmlInit()
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def code(error: Exception) -> int | None:
    """Return NVML's number of an error; None for a function that the driver does not have."""
    return getattr(error, "value", None)


def is_gone(error: Exception) -> bool:
    """Whether an error says that the whole GPU no longer answers."""
    return code(error) in _GONE


def is_never(error: Exception) -> bool:
    """Whether asking again is useless: pynvml reports some missing functions without a number."""
    return code(error) is None or code(error) in _NEVER


def maybe(call: Callable[..., T], *arguments: Any) -> T | None:
    """Ask for one value; None if it is not available now. Raises one of ERRORS if the GPU is gone.

    Each metric is asked for separately because boards differ in what they support.
    """
    try:
        return call(*arguments)
    except ERRORS as error:
        if is_gone(error):
            raise
        return None


class Asker:
    """Asks one GPU, and never again for what its board or driver does not have.

    `errors` has the last error of each metric that failed in another way, with how often.
    """

    def __init__(self) -> None:
        self.errors: dict[str, tuple[str, int]] = {}
        self._never: set[object] = set()

    def ask(self, name: str, call: Callable[..., T], *arguments: Any) -> T | None:
        """Ask for one value; None if it is not available now. Raises one of ERRORS if gone."""
        if name in self._never:
            return None
        try:
            return call(*arguments)
        except ERRORS as error:
            self._failed(name, error)
            return None

    def fields(self, handle: Any, ids: Sequence[int]) -> dict[int, float]:
        """Ask for many fields in one call; those that are not available are left out."""
        wanted = [one for one in ids if one not in self._never]
        if not wanted:
            return {}
        found: dict[int, float] = {}
        for number, _, kind, error, value in self._values(handle, wanted):
            if error:
                self._failed_field(number, error)
            elif kind < len(_VALUES):
                (found[number],) = _VALUES[kind].unpack_from(value)
        return found

    def latencies(self, handle: Any, ids: Sequence[int]) -> dict[int, int]:
        """Return the microseconds that the driver says each field costs it."""
        values = self._values(handle, ids)
        return {number: latency for number, latency, _, error, _ in values if not error}

    def _values(
        self, handle: Any, ids: Sequence[int]
    ) -> Iterator[tuple[int, int, int, int, bytes]]:
        """Yield number, latency, type, error and packed value of each field."""
        values = self.ask("fields", pynvml.nvmlDeviceGetFieldValues, handle, ids)
        for found in _FIELD.iter_unpack(values) if values is not None else ():
            number, _, _, latency, kind, error, value = found
            yield number, latency, kind, error, value

    def _failed_field(self, field: int, number: int) -> None:
        error = pynvml.NVMLError(number)
        if is_gone(error):
            raise error
        if is_never(error):
            self._never.add(field)
        else:
            self._count(f"field {field}", error)

    def _failed(self, name: str, error: Exception) -> None:
        if is_gone(error):
            raise error
        if is_never(error):
            self._never.add(name)
        else:
            self._count(name, error)

    def _count(self, name: str, error: Exception) -> None:
        self.errors[name] = (str(error), self.errors.get(name, ("", 0))[1] + 1)


def slices(handle: Any) -> Iterator[tuple[int, Any, str]]:
    """Yield number, handle and UUID of each part of a partitioned GPU; numbers may have gaps."""
    for index in range(maybe(pynvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
        part = maybe(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index)
        uuid = maybe(pynvml.nvmlDeviceGetUUID, part) if part is not None else None
        if uuid is not None:
            yield index, part, uuid


def memory(handle: Any, asker: Asker | None = None) -> Any | None:
    """Return the memory of a GPU: total and used bytes, among others."""
    ask = asker.ask if asker else lambda _, call, *words: maybe(call, *words)
    newer = ask("memory v2", pynvml.nvmlDeviceGetMemoryInfo, handle, _MEMORY_V2)
    return newer if newer is not None else ask("memory", pynvml.nvmlDeviceGetMemoryInfo, handle)
