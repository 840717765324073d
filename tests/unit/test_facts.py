"""The registry of recorded facts, and what is made of it."""

import dataclasses
import os
import re
from pathlib import Path

import pytest

from orchestrator import facts
from orchestrator.machine.facts import GpuFacts, MachineFacts
from orchestrator.machine.gpu_facts import Gpu
from orchestrator.program_facts import ProgramFacts
from orchestrator.result import Environment
from orchestrator.results.compared import FACTS

PAGE = Path(__file__).parents[2] / "docs" / "results.md"
RECORDS: dict[str, type[facts.Facts]] = {"environment": Environment, "program": ProgramFacts}
NAMED = [(record, *found) for record in RECORDS for found in facts.registry(RECORDS[record])]


def table(name):
    """Return the table of a record's facts as docs/results.md has it."""
    rows = [
        f"| `{'.'.join(path)}` | {fact.meaning}{f' ({fact.unit})' if fact.unit else ''} "
        f"| {fact.label or '-'} |"
        for path, fact in facts.registry(RECORDS[name])
    ]
    return "\n".join([f"| `{name}` | fact | in `compare` |", "|---|---|---|", *rows]) + "\n"


@pytest.mark.parametrize("name", RECORDS)
def test_the_page_lists_every_fact(name):
    found = re.compile(rf"^\| `{name}` \| fact .*\n(\|.*\n)+", re.MULTILINE)
    text = PAGE.read_text(encoding="utf-8")
    assert found.search(text)
    current = found.sub(lambda _: table(name), text)
    if os.environ.get("BENCHDOCK_UPDATE_GOLDEN"):
        PAGE.write_text(current, encoding="utf-8")
        text = current
    assert text == current, "BENCHDOCK_UPDATE_GOLDEN=1 pytest tests/unit/test_facts.py writes it"


@pytest.mark.parametrize(("record", "path", "fact"), NAMED)
def test_every_field_of_a_record_has_a_meaning(record, path, fact):
    assert fact.meaning
    assert fact.meaning == fact.meaning.strip()


def test_every_field_is_a_fact():
    for record in (MachineFacts, Environment, ProgramFacts, GpuFacts):
        assert [name for name, _ in facts.facts_of(record)] == [*record.model_fields]


def test_what_explains_a_change_is_compared_too():
    names = [fact.name for fact in FACTS]
    assert len(names) == len(set(names))
    assert {cause for fact in FACTS for cause in fact.follows} <= {*names}


def test_what_the_machine_reports_of_a_gpu_is_a_fact():
    assert {field.name for field in dataclasses.fields(Gpu)} == {*GpuFacts.model_fields}


def test_this_machine_reads_every_fact_of_a_machine():
    found = MachineFacts.of_this_machine()
    assert found.stated().keys() == MachineFacts.model_fields.keys()
    assert found.cpu is not None
    assert found.cpu.stated().keys() == type(found.cpu).model_fields.keys()


def test_a_fact_of_a_record_in_a_record_is_found():
    found = Environment.model_validate(
        {"gpu": {"gpus": [{"name": "A"}, 3, {"name": "B"}]}, "cpu": {"model": "C"}}
    )
    assert facts.at(found, ("cpu", "model")) == "C"
    assert facts.at(found, ("gpu", "gpus", "name")) == ["A", "B"]
    assert facts.at(found, ("container", "release")) is None
