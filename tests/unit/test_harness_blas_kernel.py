"""OpenBLAS's kernel: chosen by the CPU's flags, proven before use, doubted if it is an old one."""

import ctypes
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from backends.harness import blas_check, blas_kernel, machine
from backends.harness.blas_kernel import UNSETTLED, Settled, Trial
from backends.options import BLAS_KERNELS

AVX2 = {"pni", "ssse3", "sse4_2", "avx", "avx2", "fma"}
AVX512 = AVX2 | {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}
NEWEST = AVX512 | {"avx512_bf16", "amx_tile", "amx_bf16"}
AMD = AVX2 | {"sse4a"}
OLD_RELEASE = ("Prescott", "Nehalem", "Sandybridge", "Haswell", "SkylakeX")


class OpenBlas:
    """A library with some kernels, of which some compute wrong; remembers which were tried."""

    def __init__(self, own, has=OLD_RELEASE, wrong=(), fallback="Prescott"):
        self.own, self.has, self.wrong, self.fallback = own, has, wrong, fallback
        self.tried = []

    def __call__(self, name):
        self.tried.append(name)
        kernel = self.own if name is None else name if name in self.has else self.fallback
        return Trial(kernel, "sgemm of 3 x 5 x 2" if kernel in self.wrong else "")


def decide(asked, flags, library):
    return blas_kernel.decide(asked, frozenset(flags), library)


def test_the_options_are_the_kernels():
    assert tuple(kernel.name for kernel in blas_kernel.KERNELS) == BLAS_KERNELS


@pytest.mark.parametrize(
    ("flags", "own", "chosen"),
    [
        (NEWEST, "Barcelona", "SkylakeX"),
        (AVX512, "Prescott", "SkylakeX"),
        (AVX512, "Haswell", "SkylakeX"),
        (AVX2, "Prescott", "Haswell"),
        (AVX2 - {"fma"}, "Prescott", "Sandybridge"),
        # Nothing better: the library has chosen well, or by a name that is not known here.
        (AVX512, "SkylakeX", None),
        (AVX2, "Haswell", None),
        (AMD, "Excavator", None),
        (AVX512, "GraniteRapids", None),
        ({"pni"}, "Prescott", None),
        (set(), "ARMV8", None),
    ],
)
def test_auto_overrides_only_for_newer_instructions(flags, own, chosen):
    assert decide("auto", flags, OpenBlas(own)) == Settled(chosen, (), "")


def test_a_kernel_that_the_library_lacks_is_passed_over():
    library = OpenBlas("Prescott", has=("Prescott", "Nehalem", "Haswell"))
    assert decide("auto", AVX512, library).kernel == "Haswell"


def test_amds_kernel_is_preferred_on_amd():
    assert decide("auto", AMD, OpenBlas("Barcelona", has=(*OLD_RELEASE, "Zen"))).kernel == "Zen"
    assert decide("auto", AMD, OpenBlas("Barcelona")).kernel == "Haswell"


def test_a_kernel_that_computes_wrong_is_never_chosen():
    found = decide("auto", AVX512, OpenBlas("Prescott", wrong=("SkylakeX",)))
    assert found.kernel == "Haswell"
    assert found.doubts == (
        "OpenBLAS's kernel SkylakeX computes wrong results on this CPU (sgemm of 3 x 5 x 2), so it "
        "was not used",
    )
    own = decide("auto", AVX512, OpenBlas("SkylakeX", wrong=("SkylakeX",)))
    assert (own.kernel, own.refusal) == ("Haswell", "")
    none = decide("auto", AVX512, OpenBlas("SkylakeX", wrong=OLD_RELEASE))
    assert none.kernel is None
    assert none.refusal.startswith("no kernel of this OpenBLAS computes right here: OpenBLAS's")


@pytest.mark.parametrize(
    ("asked", "flags", "library", "refusal"),
    [
        ("Haswell", AVX512, OpenBlas("SkylakeX"), ""),
        (
            "SkylakeX",
            AVX2,
            OpenBlas("Haswell"),
            "option blas_kernel=SkylakeX: this CPU does not have avx512bw, avx512cd, avx512dq, "
            "avx512f, avx512vl; possible here: Haswell, Sandybridge, Nehalem, Core2, Prescott",
        ),
        (
            "Cooperlake",
            NEWEST,
            OpenBlas("Prescott"),
            "option blas_kernel=Cooperlake: this OpenBLAS does not have it",
        ),
        (
            "Haswell",
            AVX2,
            OpenBlas("Prescott", wrong=("Haswell",)),
            "option blas_kernel=Haswell: OpenBLAS's kernel Haswell computes wrong results on this "
            "CPU (sgemm of 3 x 5 x 2)",
        ),
        (
            "Haswell",
            AVX2,
            lambda name: None,
            "option blas_kernel=Haswell: there is no OpenBLAS here",
        ),
        (
            "library",
            AVX2,
            OpenBlas("Haswell", wrong=("Haswell",)),
            "OpenBLAS's kernel Haswell computes wrong results on this CPU (sgemm of 3 x 5 x 2)",
        ),
        ("library", AVX2, OpenBlas("Prescott"), ""),
    ],
)
def test_a_kernel_that_was_asked_for_is_used_or_refused(asked, flags, library, refusal):
    found = decide(asked, flags, library)
    assert found.refusal == refusal
    assert found.doubts == ()
    if not refusal:
        assert found.kernel == (None if asked == "library" else asked)


def test_a_kernel_that_the_cpu_lacks_is_not_even_tried():
    library = OpenBlas("Haswell")
    decide("SkylakeX", AVX2, library)
    assert library.tried == []
    decide("auto", AVX2, library)
    assert library.tried == [None]


def test_without_openblas_nothing_is_decided():
    assert decide("auto", AVX512, lambda name: None) == UNSETTLED
    assert decide("library", AVX512, lambda name: None) == UNSETTLED


@pytest.mark.parametrize(
    ("running", "flags", "told"),
    [
        ("Barcelona", AVX512, "which does not use this CPU's AVX-512: a kernel such as SkylakeX"),
        ("Haswell", AVX512, "AVX-512"),
        ("Prescott", AVX2, "which does not use this CPU's AVX2: a kernel such as Haswell"),
        ("SkylakeX", NEWEST, ""),
        ("Zen", AMD, ""),
        ("ARMV8", (), ""),
    ],
)
def test_a_fallback_kernel_is_doubted(running, flags, told):
    text = blas_kernel.fallback(running, frozenset(flags))
    assert told in text
    assert bool(text) == bool(told)


def test_the_result_says_if_another_kernel_ran_than_was_settled():
    settled = Settled("SkylakeX", ("of the settling",), "")
    assert blas_kernel.doubts(settled, "skylakex", frozenset(AVX512)) == ["of the settling"]
    first, second, third = blas_kernel.doubts(settled, "Prescott", frozenset(AVX512))
    assert first == "of the settling"
    assert second == "OpenBLAS was told to use its kernel SkylakeX, and ran Prescott"
    assert third.startswith("OpenBLAS ran its kernel Prescott, which does not use")


# -- settling ------------------------------------------------------------------------------


@pytest.fixture
def settle(monkeypatch):
    monkeypatch.delenv(blas_kernel.VARIABLE, raising=False)
    monkeypatch.setattr(machine, "cpu_flags", lambda: frozenset(AVX512))
    monkeypatch.setattr(blas_kernel, "tried", OpenBlas("Prescott"))
    return lambda *words: blas_kernel.settle(["--model=vgg16", "--option", "x=y", *words])


def test_the_kernel_is_told_by_the_environment(settle):
    assert settle("--device", "cpu").kernel == "SkylakeX"
    assert os.environ[blas_kernel.VARIABLE] == "SkylakeX"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--option=blas_kernel=Haswell"], "Haswell"),
        (["--option", "blas_kernel=auto"], "SkylakeX"),
        (["--option=blas_kernel=library"], None),
        (["--option=blas_kernel=Haswel"], None),  # the harness refuses it
        (["--device=gpu"], None),
        (["parity", "--level=P2"], "SkylakeX"),
    ],
)
def test_the_option_and_the_device_count(settle, words, expected):
    assert settle(*words).kernel == expected
    assert os.environ.get(blas_kernel.VARIABLE) == expected


def test_a_variable_of_the_user_counts_unless_an_option_does(settle, monkeypatch):
    monkeypatch.setenv(blas_kernel.VARIABLE, "Nehalem")
    assert settle().kernel is None
    assert os.environ[blas_kernel.VARIABLE] == "Nehalem"
    assert settle("--option=blas_kernel=Haswell").kernel == "Haswell"
    assert os.environ[blas_kernel.VARIABLE] == "Haswell"


def test_flags_are_those_of_the_first_cpu(tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text("processor\t: 0\nflags\t\t: fpu avx2\nvmx flags\t: ept\nflags\t: none\n")
    assert machine.cpu_flags(str(path)) == {"fpu", "avx2"}
    assert machine.cpu_flags(str(tmp_path / "absent")) == frozenset()


# -- trying a kernel in a process of its own -----------------------------------------------


def ended(monkeypatch, **values):
    told = SimpleNamespace(**{"returncode": 0, "stdout": "", "stderr": "", **values})
    calls = []

    def run(command, env, **keywords):
        calls.append((command, env.get(blas_kernel.VARIABLE)))
        return told

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.delenv(blas_kernel.VARIABLE, raising=False)
    return calls


@pytest.mark.parametrize("name", [None, "Haswell"])
def test_a_trial_is_what_the_check_prints(monkeypatch, name):
    printed = 'OpenBLAS warning\n{"kernel": "Haswell", "problem": "sdot of 5"}\n'
    calls = ended(monkeypatch, stdout=printed)
    assert blas_kernel.tried(name, "lib.so") == Trial("Haswell", "sdot of 5")
    assert calls == [([sys.executable, "-m", "backends.harness.blas_check", "lib.so"], name)]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"returncode": -4}, "its self check was killed by signal 4"),
        ({"returncode": 1, "stderr": "boom"}, "its self check failed: boom"),
    ],
)
def test_a_check_that_dies_is_a_kernel_that_is_wrong(monkeypatch, values, problem):
    ended(monkeypatch, **values)
    assert blas_kernel.tried("Haswell") == Trial("Haswell", problem)


def test_a_check_that_hangs_is_a_kernel_that_is_wrong(monkeypatch):
    def run(command, timeout, **keywords):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(subprocess, "run", run)
    found = blas_kernel.tried("Haswell")
    assert found == Trial("Haswell", "its self check did not end in 60 seconds")


def test_the_check_as_a_program_says_that_there_is_no_library():
    assert blas_kernel.tried(None, "libopenblas-that-is-not-here.so.0") is None


# -- the check -----------------------------------------------------------------------------


def view(address, code, count):
    kind = ctypes.c_float if code == "s" else ctypes.c_double
    return (kind * count).from_address(address)


def gemm(code, fault):
    def function(
        _order, of_a, of_b, rows, columns, depth, alpha, a, lda, b, ldb, beta, c, ldc
    ):  # fmt: skip
        left = view(a, code, lda * (depth if of_a == 112 else rows))
        right = view(b, code, ldb * (columns if of_b == 112 else depth))
        result = view(c, code, ldc * rows)
        for i in range(rows):
            for j in range(columns):
                total = sum(
                    left[k * lda + i if of_a == 112 else i * lda + k]
                    * right[j * ldb + k if of_b == 112 else k * ldb + j]
                    for k in range(depth)
                )
                result[i * ldc + j] = alpha * total + beta * result[i * ldc + j]
        fault(result, rows, columns, ldc)

    return function


def gemv(code):
    def function(_order, _plain, rows, columns, alpha, a, lda, x, _one, beta, y, _two):
        matrix, vector = view(a, code, lda * rows), view(x, code, columns)
        result = view(y, code, rows)
        for i in range(rows):
            total = sum(matrix[i * lda + j] * vector[j] for j in range(columns))
            result[i] = alpha * total + beta * result[i]

    return function


def dot(code):
    def function(count, x, _one, y, _two):
        return sum(a * b for a, b in zip(view(x, code, count), view(y, code, count), strict=True))

    return function


def axpy(code):
    def function(count, alpha, x, _one, y, _two):
        target = view(y, code, count)
        for i, value in enumerate(view(x, code, count)):
            target[i] += alpha * value

    return function


def library(fault=lambda result, rows, columns, wide: None, **changed):
    """The functions of a BLAS in Python; `fault` may spoil the results of sgemm."""
    found = {}
    for code in "sd":
        found[f"cblas_{code}gemm"] = gemm(code, fault if code == "s" else lambda *_: None)
        found[f"cblas_{code}gemv"] = gemv(code)
        found[f"cblas_{code}dot"] = dot(code)
        found[f"cblas_{code}axpy"] = axpy(code)
    return SimpleNamespace(**{**found, **changed})


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(blas_check, "LARGE", ())
    monkeypatch.setattr(blas_check, "SMALL", ((1, 1, 1), (3, 5, 2), (4, 7, 9)))


def test_a_right_library_has_no_problem():
    assert blas_check.problem(library()) == ""


def last_is_off(result, rows, columns, wide):
    result[(rows - 1) * wide + columns - 1] += 1


def beyond_the_row(result, rows, columns, wide):
    result[columns] = 0


def bfloat16(result, rows, columns, wide):
    for i in range(rows):
        for j in range(columns):
            value = ctypes.c_uint32.from_buffer(ctypes.c_float(result[i * wide + j]))
            value.value &= 0xFFFF0000
            result[i * wide + j] = ctypes.c_float.from_buffer(value).value


@pytest.mark.parametrize("fault", [last_is_off, beyond_the_row, bfloat16])
def test_a_wrong_product_is_found(fault):
    assert blas_check.problem(library(fault)).startswith("sgemm of ")


@pytest.mark.parametrize(
    ("name", "function", "found"),
    [
        ("cblas_sgemv", lambda *values: None, "sgemv of 1 x 1"),
        ("cblas_ddot", lambda *values: float("nan"), "ddot of 1"),
        ("cblas_saxpy", lambda *values: None, "saxpy of 1"),
    ],
)
def test_other_wrong_functions_are_found(name, function, found):
    assert blas_check.problem(library(**{name: function})) == found
