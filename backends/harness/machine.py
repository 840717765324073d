"""Resources of the machine for this process."""

import os

CPUINFO = "/proc/cpuinfo"
CPU_MAX = "/sys/fs/cgroup/cpu.max"
CFS_QUOTA = "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"
CFS_PERIOD = "/sys/fs/cgroup/cpu/cpu.cfs_period_us"
TOPOLOGY = "/sys/devices/system/cpu/cpu%d/topology/%s"


def cpus():
    """How many CPUs this process may use: its affinity, limited by the container's quota."""
    count = len(os.sched_getaffinity(0))
    quota = _quota()
    return count if quota is None else max(1, min(count, int(quota + 0.5)))


def cpus_by_core():
    """The CPUs of this process, those of a package and those of a core one after the other.

    In the order of their numbers if the kernel does not tell.
    """
    return sorted(os.sched_getaffinity(0), key=_core)


def _core(cpu):
    told = [_read(TOPOLOGY % (cpu, name)).strip() for name in ("physical_package_id", "core_id")]
    return tuple(int(text) if text.isdigit() else 0 for text in told) + (cpu,)


def cpu_list(cpus):
    """CPUs as the kernel writes them: 0-3,8."""
    ranges = []  # type: list
    for cpu in sorted(cpus):
        if ranges and cpu == ranges[-1][1] + 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(str(a) if a == b else "%d-%d" % (a, b) for a, b in ranges)


def _quota():
    """The CPU quota of the control group in CPUs, None if unlimited."""
    words = _read(CPU_MAX).split()
    if len(words) != 2:
        words = [_read(CFS_QUOTA).strip(), _read(CFS_PERIOD).strip()]
    if not all(word.isdigit() for word in words):  # "max", "-1" or no such file
        return None
    return float(words[0]) / float(words[1])


def cpu_seconds():
    """CPU time of this process and of the processes that it started, in seconds."""
    own = os.times()
    return sum(own[:4]) + sum(_running(pid) for pid in _children())


def _children():
    """The processes that this one started and that run, as the kernel lists them."""
    for thread in os.listdir("/proc/self/task"):
        for pid in _read("/proc/self/task/%s/children" % thread).split():
            yield pid


def _running(pid):
    """CPU seconds of another process; 0 if it has ended meanwhile."""
    # After the name in parentheses: utime and stime are fields 14 and 15 (proc(5)).
    fields = _read("/proc/%s/stat" % pid).rpartition(")")[2].split()
    if len(fields) < 13:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def cpu_name(path=CPUINFO):
    """The processor's name as the kernel gives it."""
    for entry in _read(path).splitlines():
        key, _, value = entry.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return os.uname().machine


def cpu_flags(path=CPUINFO):
    """The features of the first CPU, by the kernel's names."""
    for entry in _read(path).splitlines():
        key, _, words = entry.partition(":")
        if key.strip() == "flags":
            return frozenset(words.split())
    return frozenset()


def _read(path):
    try:
        with open(path) as file:
            return file.read()
    except (IOError, OSError):
        return ""
