"""The `caffe` binary with the best kernel of OpenBLAS: what is said of it, and what is run."""

import os

import pytest

from backends.caffe import launch
from backends.harness import blas_kernel, machine
from backends.harness.blas_kernel import Settled, Trial
from orchestrator import parsers
from orchestrator.parsers import ParseHints

AVX2 = frozenset({"pni", "ssse3", "sse4_2", "avx", "avx2", "fma"})


@pytest.fixture
def machine_with_avx2(monkeypatch):
    """A CPU with AVX2 and an OpenBLAS that does not know it; what is run is kept."""
    monkeypatch.delenv(blas_kernel.VARIABLE, raising=False)
    monkeypatch.setattr(machine, "cpu_flags", lambda: AVX2)
    ran = []

    def tried(name):
        return Trial(name or os.environ.get(blas_kernel.VARIABLE) or "Prescott", "")

    def become(program, words):
        ran.append((words, os.environ.get(blas_kernel.VARIABLE)))

    monkeypatch.setattr(blas_kernel, "tried", tried)
    monkeypatch.setattr(os, "execvp", become)
    return ran


@pytest.mark.parametrize(
    ("asked", "variable", "lines"),
    [
        ("auto", "Haswell", ["benchdock: OpenBLAS runs its kernel Haswell"]),
        ("Nehalem", "Nehalem", ["benchdock: OpenBLAS runs its kernel Nehalem"]),
        ("library", None, ["benchdock: OpenBLAS runs its kernel Prescott"]),
    ],
)
def test_the_kernel_is_settled_told_and_used(machine_with_avx2, capsys, asked, variable, lines):
    launch.main([f"--kernel={asked}", "--", "caffe", "time", "-model=x"])
    assert machine_with_avx2 == [(["caffe", "time", "-model=x"], variable)]
    first, *doubts = capsys.readouterr().out.splitlines()
    assert [first] == lines
    assert [line.startswith("benchdock: warning: OpenBLAS ran its") for line in doubts] == (
        [] if asked == "auto" else [True]
    )


def test_a_kernel_that_the_cpu_lacks_is_refused(machine_with_avx2):
    with pytest.raises(SystemExit, match=r"blas_kernel=SkylakeX: this CPU does not have avx512bw"):
        launch.main(["--kernel=SkylakeX", "--", "caffe", "time"])
    assert machine_with_avx2 == []


def test_nothing_is_told_without_openblas():
    assert launch.told(Settled(None, (), ""), None, AVX2) == []


@pytest.mark.parametrize("program", ["caffe_time", "caffe_train"])
def test_the_result_has_the_kernel_and_the_doubt(program):
    lines = launch.told(Settled("Haswell", (), ""), Trial("Prescott", ""), AVX2)
    parser = parsers.parser_for(program, ParseHints(batch=1))
    parser.feed("".join(f"benchdock: {line}\n" for line in lines).encode())
    found = parser.finish(1)
    assert found.begin.options == {"blas_kernel": "Prescott"}
    told = "OpenBLAS was told to use its kernel Haswell, and ran Prescott"
    assert told in found.warnings
    assert any("which does not use this CPU's AVX2" in text for text in found.warnings)
