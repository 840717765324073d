"""Resources of the machine for this process."""

import os

CPU_MAX = "/sys/fs/cgroup/cpu.max"
CFS_QUOTA = "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"
CFS_PERIOD = "/sys/fs/cgroup/cpu/cpu.cfs_period_us"


def cpus():
    """How many CPUs this process may use: its affinity, limited by the container's quota."""
    count = len(os.sched_getaffinity(0))
    quota = _quota()
    return count if quota is None else max(1, min(count, int(quota + 0.5)))


def _quota():
    """The CPU quota of the control group in CPUs, None if unlimited."""
    words = _read(CPU_MAX).split()
    if len(words) != 2:
        words = [_read(CFS_QUOTA).strip(), _read(CFS_PERIOD).strip()]
    if not all(word.isdigit() for word in words):  # "max", "-1" or no such file
        return None
    return float(words[0]) / float(words[1])


def cpu_name(path="/proc/cpuinfo"):
    """The processor's name as the kernel gives it."""
    for entry in _read(path).splitlines():
        key, _, value = entry.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return os.uname().machine


def _read(path):
    try:
        with open(path) as file:
            return file.read()
    except (IOError, OSError):
        return ""
