"""Calls each function of NVML that benchdock uses once, and notes what it answers and takes.

A process of its own, because a broken driver may hang or end it:

    python -m tests.gpu_check.nvml_calls > nvml.json

The answers of a real GPU are golden data for the stand-in (tests/nvml).
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import pynvml

FIELDS = 320
AT_ONCE = 40


def called(call: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """Call a function; return its number of NVML (0 is success), its answer and microseconds."""
    began = time.perf_counter()
    answer: Any = None
    try:
        answer, code = call(*arguments), 0
    except pynvml.NVMLError as error:
        code = error.value
    except pynvml.NVMLLibraryMismatchError:
        code = pynvml.NVML_ERROR_FUNCTION_NOT_FOUND
    spent = (time.perf_counter() - began) * 1e6
    return {"code": code, "us": round(spent, 1), "answer": plain(answer)}


def plain(answer: Any) -> Any:
    """Return an answer as JSON has it."""
    if isinstance(answer, (list, tuple)):
        return [plain(one) for one in answer]
    if isinstance(answer, ctypes.Structure):
        return {name: plain(getattr(answer, name)) for name, *_ in answer._fields_}
    if isinstance(answer, bytes):
        return answer.decode("utf-8", "replace")
    return answer if isinstance(answer, (int, float, str, bool, type(None))) else str(answer)


def of_gpu(handle: Any) -> dict[str, Any]:
    """Call everything that needs a GPU."""
    n = pynvml
    plain_calls = (
        *("Name", "UUID", "PciInfo", "Index", "CudaComputeCapability", "MemoryInfo"),
        *("UtilizationRates", "PowerUsage", "EnforcedPowerLimit", "PowerManagementDefaultLimit"),
        *("TotalEnergyConsumption", "CurrentClocksEventReasons", "CurrentClocksThrottleReasons"),
        *("CurrPcieLinkGeneration", "CurrPcieLinkWidth", "MaxPcieLinkGeneration"),
        *("MaxPcieLinkWidth", "EccMode", "MigMode", "MaxMigDeviceCount", "RemappedRows"),
        *("ComputeRunningProcesses", "GraphicsRunningProcesses", "SupportedEventTypes"),
        *("PersistenceMode", "ComputeMode"),
    )
    found = {name: called(getattr(n, f"nvmlDeviceGet{name}"), handle) for name in plain_calls}
    found["MemoryInfo v2"] = called(n.nvmlDeviceGetMemoryInfo, handle, 0x02000028)
    for name, kind in (("SM", n.NVML_CLOCK_SM), ("MEM", n.NVML_CLOCK_MEM)):
        found[f"ClockInfo {name}"] = called(n.nvmlDeviceGetClockInfo, handle, kind)
        found[f"MaxClockInfo {name}"] = called(n.nvmlDeviceGetMaxClockInfo, handle, kind)
    for name in ("Temperature", "TemperatureV"):
        found[name] = called(getattr(n, f"nvmlDeviceGet{name}"), handle, n.NVML_TEMPERATURE_GPU)
    for policy in (0, 1):
        call = n.nvmlDeviceGetViolationStatus
        found[f"ViolationStatus {policy}"] = called(call, handle, policy)
    info = n.c_nvmlGpuFabricInfo_v2_t()
    fabric = called(n.nvmlDeviceGetGpuFabricInfoV, handle, ctypes.byref(info))
    found["GpuFabricInfoV"] = {**fabric, "answer": [info.state, info.healthMask]}
    return {"calls": found, "fields": fields(handle)}


def fields(handle: Any) -> dict[str, Any]:
    """Ask for every field; return code, type, value and the driver's own latency of each."""
    members = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
    found: dict[str, Any] = {}
    for first in range(1, FIELDS, AT_ONCE):
        try:
            values = pynvml.nvmlDeviceGetFieldValues(handle, list(range(first, first + AT_ONCE)))
        except pynvml.NVMLError as error:
            found[f"{first}..."] = {"code": error.value}
            continue
        for one in values:
            good = one.nvmlReturn == 0 and one.valueType < len(members)
            value = getattr(one.value, members[one.valueType]) if good else None
            found[str(one.fieldId)] = {
                "code": one.nvmlReturn,
                "type": one.valueType,
                "value": value,
                "latency_us": one.latencyUsec,
            }
    return found


def events(handle: Any) -> dict[str, Any]:
    """Make an event set, register, wait for nothing, free it."""
    try:
        made = pynvml.nvmlEventSetCreate()
    except pynvml.NVMLError as error:
        return {"EventSetCreate": {"code": error.value}}
    return {
        "RegisterEvents": called(pynvml.nvmlDeviceRegisterEvents, handle, 0x8, made),
        "EventSetWait": called(pynvml.nvmlEventSetWait, made, 0),
        "EventSetFree": called(pynvml.nvmlEventSetFree, made),
    }


def main() -> int:
    """Print one JSON document; return 3 if NVML cannot be opened."""
    found: dict[str, Any] = {"Init": called(pynvml.nvmlInit)}
    if found["Init"]["code"] == 0:
        found["DriverVersion"] = called(pynvml.nvmlSystemGetDriverVersion)
        found["CudaDriverVersion"] = called(pynvml.nvmlSystemGetCudaDriverVersion_v2)
        found["Count"] = called(pynvml.nvmlDeviceGetCount)
        found["gpus"] = []
        for index in range(found["Count"]["answer"] or 0):
            try:
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            except pynvml.NVMLError as error:
                found["gpus"].append({"code": error.value})
                continue
            found["gpus"].append({**of_gpu(handle), "events": events(handle)})
        found["Shutdown"] = called(pynvml.nvmlShutdown)
    print(json.dumps(found, indent=1))
    return 0 if found["Init"]["code"] == 0 else 3


if __name__ == "__main__":
    sys.exit(main())
