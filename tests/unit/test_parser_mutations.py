"""Figures that a parser must not invent, by mutated logs; `make fuzz` tries many more."""

import pytest

from tests import fuzz

COUNT = 6000  # some seconds


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_a_damaged_log_gives_no_other_figure_in_silence(part):
    complaints = [
        f"{kind}: {mutant.base.name}, {mutant.how}: {found}"
        for kind, mutant in fuzz.mutants(COUNT // 4, fuzz.SEED + part)
        if (found := fuzz.complaint(mutant, kind))
    ]
    assert complaints == []


@pytest.mark.slow
def test_every_number_of_every_log_may_be_infinite():
    for base in fuzz.bases():
        for number in fuzz.numbers(base.log):
            log = base.log[: number.start()] + b"1e999" + base.log[number.end() :]
            mutant = fuzz.Mutant(log, f"{number[0]!r} at {number.start()}", base)
            assert fuzz.complaint(mutant, "wrong_number") == "", (base.name, mutant.how)


@pytest.mark.slow
def test_a_figure_that_is_invented_is_found(monkeypatch):
    base = next(base for base in fuzz.bases() if base.name == "horovod")
    other = base.log.replace(b" 800.0 ", b" 801.0 ")
    assert "in silence" in fuzz.complaint(fuzz.Mutant(other, "another total", base), "break_line")

    def broken(*_):
        raise OverflowError("of a test")

    monkeypatch.setattr(fuzz, "_parse", broken)
    assert "OverflowError: of a test" in fuzz.complaint(fuzz.Mutant(b"", "", base), "cut")
