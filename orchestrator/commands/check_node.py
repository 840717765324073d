"""`benchdock check-node`: measure the nodes of a fleet, and compare them."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator import ui
from orchestrator.errors import ExitStatus, MachineError, RequestError
from orchestrator.fleet import folder as files
from orchestrator.fleet import telling
from orchestrator.fleet.record import Launch, NodeRecord
from orchestrator.fleet.telling import Fleet
from orchestrator.record_files import first_mistake
from orchestrator.request import Request
from orchestrator.signals import interruptible
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import clean
from orchestrator.units import quantity
from orchestrator.version import VERSION

# What a node gets on its command line, too, if it was given.
_PASSED_ON = (
    *("passes", "model", "framework", "phase", "dtype", "batch", "steps", "gpus", "seconds"),
    *("iperf3", "image", "runtime", "python"),
)


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Check this node, those of a partition, or compare. Raises RequestError, MachineError."""
    _check(arguments)
    if arguments.compare is not None:
        return _compare(list(_compared(arguments.compare)), arguments)
    if arguments.partition is not None:
        return _partition(arguments)
    return _this_node(arguments)


def _check(arguments: argparse.Namespace) -> None:
    if arguments.partition is None:
        for option in ("srun", "program"):
            if getattr(arguments, option):
                raise RequestError(
                    f"--{option} only works with --partition", hint=f"remove --{option}"
                )
    elif arguments.log:
        raise RequestError(
            "--log is a log of one node, and --partition checks several", hint="remove --log"
        )


def _compared(paths: list[str]) -> Iterator[tuple[NodeRecord, Launch | None]]:
    """Yield the records to compare. Raises RequestError."""
    if not paths:
        found = list(files.newest())
        if not found:
            raise RequestError(
                "no check of a node is stored", hint="run `benchdock check-node` on each node first"
            )
        yield from found
        return
    known: dict[tuple[str, str | None], str] = {}
    for path in paths:
        launch = files.launch_of(Path(path))
        for record in files.given(Path(path)):
            key = (record.node, record.machine)
            if key in known:
                raise RequestError(
                    f"{record.node} has records in {known[key]} and in {path}",
                    hint="name only one of them",
                )
            known[key] = path
            yield record, launch


def _this_node(arguments: argparse.Namespace) -> ExitStatus:
    from orchestrator.fleet import measuring  # runs need most of benchdock

    node = measuring.node_name()
    where = Path(arguments.into).absolute() if arguments.into is not None else files.new()
    check = _wanted(arguments)
    if arguments.into is not None:  # somebody waits for it
        files.begin(where, node)
    view = ui.choose(result_on_stdout=False)
    try:
        with interruptible():
            record = measuring.measure(check, node, where, view)
    finally:
        view.close()
    path = files.write(where, record)
    if arguments.json:
        print(record.model_dump_json(indent=2, by_alias=True))
    else:
        _show(record)
        print(f"record: {path}")
    return ExitStatus.BENCHMARK_FAILED if record.problems else ExitStatus.OK


def _wanted(arguments: argparse.Namespace) -> Any:
    """Return what to measure. Raises RequestError."""
    from orchestrator.fleet.measuring import Check
    from orchestrator.probing.measuring import Wanted

    python = Path(arguments.python) if arguments.python is not None else None
    try:
        control = Request(
            model=arguments.model,
            framework=arguments.framework,
            phase=arguments.phase,
            dtype=arguments.dtype,
            batch=arguments.batch,
            steps=arguments.steps,
            gpus=arguments.gpus,
            image=arguments.image,
            runtime=arguments.runtime,
            python=python,
        )
    except ValidationError as error:
        raise RequestError(first_mistake(error)) from None
    probe = Wanted(
        gpus=arguments.gpus,
        image=arguments.image,
        runtime=control.runtime,
        python=python,
        seconds=arguments.seconds,
    )
    return Check(
        passes=arguments.passes,
        probe=probe,
        control=control,
        logs=tuple(map(Path, arguments.log)),
        iperf3=arguments.iperf3,
    )


def _show(record: NodeRecord) -> None:
    print(f"{record.node}: {record.hardware}")
    rows = [
        (one.name, *(quantity(pick(one.values), one.unit) for pick in (min, max)),
         str(len(one.values)))
        for one in record.figures
    ]  # fmt: skip
    print_table(("figure", "least", "most", "passes"), rows, right=(1, 2, 3))
    for problem in record.problems:
        print(f"no figures of the {clean(problem)}")
    for note in record.notes:
        print(f"note: {clean(note)}")


def _partition(arguments: argparse.Namespace) -> ExitStatus:
    from orchestrator.fleet import slurm

    _wanted(arguments)  # a mistake is told once, not by every node
    partition, where = slurm.look(arguments.partition), files.new()
    view = ui.choose(result_on_stdout=False)
    view.stage(f"checking {len(partition.idle)} nodes of {partition.name}; records: {where}")
    try:
        with interruptible():
            launch = slurm.check(
                partition,
                [*_program(arguments), "check-node", f"--into={where}", *_options(arguments)],
                arguments.srun,
                where,
                benchdock=VERSION,
                host=platform.node(),
                timeout=arguments.timeout,
                tell=view.stage,
            )
    finally:
        view.close()
    found = files.records(where)
    if not found:
        raise MachineError(
            f"no node left a record: {launch.said or 'srun says nothing'}",
            hint=f"see {where / 'srun.log'}",
        )
    return _compare([(record, launch) for record in found], arguments)


def _program(arguments: argparse.Namespace) -> list[str]:
    if arguments.program is not None:
        return [arguments.program]
    return [sys.executable, "-m", "orchestrator"]


def _options(arguments: argparse.Namespace) -> Iterator[str]:
    """Yield the options of the check as a node's command line has them."""
    for name in _PASSED_ON:
        value = getattr(arguments, name)
        if value is not None:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            yield f"--{name}={text}"


def _compare(
    found: list[tuple[NodeRecord, Launch | None]], arguments: argparse.Namespace
) -> ExitStatus:
    fleet = Fleet.of(found)
    if arguments.json:
        print(json.dumps(_document(fleet), indent=2))
    else:
        print(telling.summary(fleet))
        for sentence in telling.sentences(fleet):
            print(f"  {clean(sentence)}")
        print_table(telling.TITLES, telling.slowest(fleet.rows), right=telling.RIGHT)
    if fleet.slow:
        return ExitStatus.GATE_MISSED
    return ExitStatus.BENCHMARK_FAILED if fleet.incomplete else ExitStatus.OK


def _document(fleet: Fleet) -> dict[str, Any]:
    return {
        "schema": 1,
        "slow": list(fleet.slow),
        "sentences": list(telling.sentences(fleet)),
        "figures": [
            {
                "name": row.name,
                "unit": row.unit,
                "hardware": row.hardware,
                "median": row.median,
                "nodes": [
                    {
                        "node": one.node,
                        "value": one.value,
                        "change": one.change,
                        "ci95_low": one.low,
                        "ci95_high": one.high,
                        "verdict": one.verdict,
                    }
                    for one in row.nodes
                ],
            }
            for row in fleet.rows
        ],
        "records": [one.model_dump(mode="json", by_alias=True) for one in fleet.records],
    }
