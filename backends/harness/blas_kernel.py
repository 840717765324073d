"""OpenBLAS's kernel: its code for one kind of CPU, which it chooses when it is loaded.

A release that is older than the CPU does not know it, and takes a kernel that runs anywhere: 0.3.13
computes on Intel's CPUs of 2023 without AVX. `settle` makes it take the best one that this CPU
supports, if that computes right.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import namedtuple

from backends.harness import blas_check, machine

TYPE_CHECKING = False  # mypy takes it for true; typing has it since Python 3.5.2 only
if TYPE_CHECKING:
    from typing import List  # noqa: F401 - in a type comment

OPTION = "blas_kernel"
VARIABLE = "OPENBLAS_CORETYPE"
LIBRARY = "libopenblas.so.0"
AUTO, OF_LIBRARY = "auto", "library"
CHECK_SECONDS = 60

SSE, AVX, AVX2, AVX512 = "SSE", "AVX", "AVX2", "AVX-512"
LEVELS = (SSE, AVX, AVX2, AVX512)

_AVX2 = frozenset(("avx2", "fma"))
_AVX512 = _AVX2 | {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}

Kernel = namedtuple("Kernel", "name level needs")
Kernel.__doc__ = """A kernel by OpenBLAS's name; `needs` are flags of /proc/cpuinfo."""

# Of x86-64, the preferred first. Those of one level compute float32 alike: what they differ in is
# other number types and sizes of blocks.
KERNELS = (
    Kernel("SkylakeX", AVX512, _AVX512),
    Kernel("Cooperlake", AVX512, _AVX512 | {"avx512_bf16"}),
    Kernel("SapphireRapids", AVX512, _AVX512 | {"avx512_bf16", "amx_tile", "amx_bf16"}),
    Kernel("Zen", AVX2, _AVX2 | {"sse4a"}),  # sse4a: AMD's
    Kernel("Haswell", AVX2, _AVX2),
    Kernel("Sandybridge", AVX, frozenset(("avx",))),
    Kernel("Nehalem", SSE, frozenset(("sse4_2",))),
    Kernel("Core2", SSE, frozenset(("ssse3",))),
    Kernel("Prescott", SSE, frozenset(("pni",))),
)
# Kernels that a library may choose, but that are nobody's best.
_OLDER = {
    "bulldozer": AVX, "piledriver": AVX, "steamroller": AVX, "excavator": AVX2,
    "barcelona": SSE, "bobcat": SSE, "opteron": SSE, "opteron_sse3": SSE, "athlon": SSE,
    "penryn": SSE, "dunnington": SSE, "atom": SSE, "nano": SSE, "katmai": SSE, "coppermine": SSE,
    "northwood": SSE, "banias": SSE,
}  # fmt: skip
_LEVEL = dict({kernel.name.lower(): kernel.level for kernel in KERNELS}, **_OLDER)

Trial = namedtuple("Trial", "kernel problem")
Trial.__doc__ = """The kernel that OpenBLAS took, and what it computes wrong, "" if nothing."""

Settled = namedtuple("Settled", "kernel doubts refusal")
Settled.__doc__ = """What was decided.

`kernel` is the one that OpenBLAS is told to take, None if it chooses by itself; `doubts` are
sentences for the result; `refusal` says why nothing can run, "" if it can.
"""

UNSETTLED = Settled(None, (), "")


def settle(argv):
    """Choose the kernel for these arguments; call before NumPy or a framework loads OpenBLAS.

    Ignores wrong arguments: the harness reports them.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--device")
    parser.add_argument("--option", action="append", default=[])
    given = parser.parse_known_args(argv)[0]
    if given.device == "gpu":
        return UNSETTLED
    options = dict(word.partition("=")[::2] for word in given.option)
    asked = options.get(OPTION, AUTO)
    if asked == AUTO and os.environ.get(VARIABLE):
        asked = OF_LIBRARY  # the user or the image has chosen
    found = decide(asked, machine.cpu_flags(), tried)
    if found.kernel:
        os.environ[VARIABLE] = found.kernel
    return found


def decide(asked, flags, attempt):
    """The `Settled` for an asked kernel on a CPU with these flags.

    `attempt(name)` is the `Trial` of a kernel, with None of the library's own choice; it returns
    None if there is no OpenBLAS. It is not called for a kernel that the CPU does not support.
    """
    if asked not in (AUTO, OF_LIBRARY):
        return _forced(asked, flags, attempt)
    own = attempt(None)
    if own is None:
        return UNSETTLED
    if asked == OF_LIBRARY:
        return Settled(None, (), _wrong(own) if own.problem else "")
    return _best(own, flags, attempt)


def _forced(asked, flags, attempt):
    kernel = next((one for one in KERNELS if one.name == asked), None)
    if kernel is None:
        return UNSETTLED  # the harness refuses the value
    lacking = sorted(kernel.needs - flags)
    if lacking:
        here = ", ".join(one.name for one in KERNELS if one.needs <= flags)
        return Settled(
            None,
            (),
            "option %s=%s: this CPU does not have %s; possible here: %s"
            % (OPTION, asked, ", ".join(lacking), here or "none"),
        )
    trial = attempt(asked)
    refusal = ""
    if trial is None:
        refusal = "option %s=%s: there is no OpenBLAS here" % (OPTION, asked)
    elif not _took(trial, asked):
        refusal = "option %s=%s: this OpenBLAS does not have it" % (OPTION, asked)
    elif trial.problem:
        refusal = "option %s=%s: %s" % (OPTION, asked, _wrong(trial))
    return Settled(asked, (), refusal)


def _best(own, flags, attempt):
    """The best kernel that computes right: a better one than the library's choice, else that one,
    else a worse one.
    """
    doubts = []  # type: List[str]
    possible = [one for one in KERNELS if one.needs <= flags]
    mine = _rank(own.kernel)
    better = [one.name for one in possible if _rank(one.name) > mine]
    worse = [one.name for one in possible if _rank(one.name) < mine]
    for name in better + [None] + worse:
        trial = own if name is None else attempt(name)
        if name is not None and (trial is None or not _took(trial, name)):
            continue
        if not trial.problem:
            return Settled(name, tuple(doubts), "")
        doubts.append(_wrong(trial) + ", so it was not used")
    return Settled(None, (), "no kernel of this OpenBLAS computes right here: " + doubts[0])


def _rank(name):
    """Higher for newer instructions; the highest for a kernel that is not known here."""
    return LEVELS.index(_LEVEL.get(name.lower(), LEVELS[-1]))


def _took(trial, name):
    """Whether the library has a kernel: it takes another one if it does not."""
    return trial.kernel.lower() == name.lower()


def _wrong(trial):
    return "OpenBLAS's kernel %s computes wrong results on this CPU (%s)" % trial


def doubts(settled, running, flags):
    """Sentences about the kernel that runs after this was settled."""
    found = list(settled.doubts)
    if settled.kernel and settled.kernel.lower() != running.lower():
        found.append(
            "OpenBLAS was told to use its kernel %s, and ran %s" % (settled.kernel, running)
        )
    return found + [text for text in (fallback(running, flags),) if text]


def fallback(running, flags):
    """A sentence if the kernel that runs leaves instructions of this CPU unused, else ""."""
    best = next((one for one in KERNELS if one.needs <= flags), None)
    if best is None or _rank(running) >= LEVELS.index(best.level):
        return ""
    return (
        "OpenBLAS ran its kernel %s, which does not use this CPU's %s: a kernel such as %s can be "
        "several times as fast" % (running, best.level, best.name)
    )


def tried(name, library=LIBRARY):
    """The `Trial` of a kernel in a process of its own; see `decide`."""
    environment = dict(os.environ)
    if name is not None:
        environment[VARIABLE] = name
    try:
        done = subprocess.run(
            [sys.executable, "-m", "backends.harness.blas_check", library],
            env=environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            timeout=CHECK_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Trial(name or "", "its self check did not end in %d seconds" % CHECK_SECONDS)
    if done.returncode < 0:
        return Trial(name or "", "its self check was killed by signal %d" % -done.returncode)
    if done.returncode == blas_check.NOT_THERE:
        return None
    if done.returncode:
        return Trial(name or "", "its self check failed: %s" % done.stderr.strip()[-200:])
    return Trial(**json.loads(done.stdout.splitlines()[-1]))
