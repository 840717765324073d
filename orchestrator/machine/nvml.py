"""NVIDIA's management library (NVML), called so that one missing metric costs only itself.

Only this module imports `pynvml`. Import it late: `pynvml` takes 50 ms to load.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
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
        self._failing: set[int] = set()
        self._arrays: dict[tuple[int, ...], Any] = {}

    def ask(self, name: str, call: Callable[..., T], *arguments: Any) -> T | None:
        """Ask for one value; None if it is not available now. Raises one of ERRORS if gone."""
        if name in self._never:
            return None
        try:
            return call(*arguments)
        except ERRORS as error:
            self._failed(name, error)
            return None

    def fails(self, field: int) -> bool:
        """Whether a field was not available at least once."""
        return field in self._failing

    def fields(self, handle: Any, ids: tuple[int, ...]) -> dict[int, float]:
        """Ask for many fields in one call; those that are not available are left out."""
        return self.unpacked(self.packed(handle, ids))

    def packed(self, handle: Any, ids: tuple[int, ...]) -> bytes:
        """Ask for many fields in one call; the answer can be unpacked later.

        The arguments are made once, because this runs ten times a second, after pauses in which the
        caches got cold: pynvml's function takes 170 us for seven fields then, this one 70 us.
        """
        array = self._arrays.get(ids)
        if array is None:
            wanted = [one for one in ids if one not in self._never]
            array = self._arrays[ids] = (pynvml.c_nvmlFieldValue_t * len(wanted))()
            for place, number in enumerate(wanted):
                array[place].fieldId = number
        if not len(array):
            return b""
        return self.ask("fields", _get_fields, handle, array) or b""

    def unpacked(self, values: bytes) -> dict[int, float]:
        """Return the fields of an answer. Raises one of ERRORS if the GPU is gone."""
        found: dict[int, float] = {}
        for number, _, _, _, kind, error, value in _FIELD.iter_unpack(values):
            if error:
                self._failed_field(number, error)
            elif kind < len(_VALUES):
                (found[number],) = _VALUES[kind].unpack_from(value)
        return found

    def latencies(self, handle: Any, ids: tuple[int, ...]) -> dict[int, int]:
        """Return the microseconds that the driver says each field costs it."""
        values = _FIELD.iter_unpack(self.packed(handle, ids))
        return {number: latency for number, _, _, latency, _, error, _ in values if not error}

    def _failed_field(self, field: int, number: int) -> None:
        error = pynvml.NVMLError(number)
        if is_gone(error):
            raise error
        self._failing.add(field)
        if is_never(error):
            self._never.add(field)
            self._arrays.clear()  # from now on they are asked for without it
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


def _get_fields(handle: Any, array: Any) -> bytes:
    """Fill an array of fields, as pynvml does with one that it makes. Raises one of ERRORS."""
    try:
        call = pynvml.nvmlLib.nvmlDeviceGetFieldValues
    except AttributeError:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND) from None
    error = call(handle, len(array), array)
    if error:
        raise pynvml.NVMLError(error)
    return bytes(array)


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
