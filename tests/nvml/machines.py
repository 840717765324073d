"""GPU servers as NVML describes them: answers for the stand-in, with our figures."""

from __future__ import annotations


def machine(count: int, name: str, capability: str, driver: str, gib: int = 80) -> str:
    """Return the answers of a machine with `count` equal GPUs."""
    lines = [
        f"driver={driver}",
        f"count={count}",
        f"*.name={name}",
        f"*.capability={capability}",
        f"*.memory_total={gib * 2**30}",
        "*.mig=0",
    ]
    for index in range(count):
        lines += [f"{index}.uuid=GPU-{index:08d}-0000-0000-0000-000000000000"]
        lines += [f"{index}.bus_id=00000000:{index + 16:02X}:00.0"]
    return "\n".join(lines) + "\n"


K80 = machine(4, "Tesla K80", "3.7", "470.82.01", 12)
P100 = machine(4, "Tesla P100-SXM2-16GB", "6.0", "535.104.05", 16)
V100 = machine(8, "Tesla V100-SXM2-16GB", "7.0", "450.119.03", 16)
A100 = machine(8, "NVIDIA A100-SXM4-80GB", "8.0", "525.105.17")
RTX_4090 = machine(1, "NVIDIA GeForce RTX 4090", "8.9", "550.54.14", 24)
H200 = machine(8, "NVIDIA H200", "9.0", "570.86.15", 141)
B200 = machine(8, "NVIDIA B200", "10.0", "580.65.06", 180)
