"""`benchdock run`: run one benchmark, or several runs of it."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from orchestrator.commands import gpu_sharing
from orchestrator.data import registry
from orchestrator.errors import ExitStatus, RequestError, quoted
from orchestrator.frameworks import catalogue
from orchestrator.plan import Plan
from orchestrator.record_files import first_mistake
from orchestrator.request import Phase, Request
from orchestrator.run import own_network
from orchestrator.run.filing import to_json
from orchestrator.ui.text import Outlet, clean
from orchestrator.units import BYTES, SECONDS, quantity
from orchestrator.view import View

if TYPE_CHECKING:
    from orchestrator.machine.description import Machine
    from orchestrator.result import Result
    from orchestrator.run.sharing import Sharing
    from orchestrator.trust.verdict import Trust


def make_request(arguments: argparse.Namespace) -> Request:
    """Turn the command line into a request. Raises RequestError."""
    model, model_file = own_network.split(arguments.model)
    runtime, prefix = arguments.runtime, arguments.prefix
    if arguments.nodes > 1:
        from orchestrator.commands import over_nodes

        runtime, prefix = over_nodes.chosen(arguments)
    try:
        return Request(
            model=model,
            model_file=model_file,
            framework=arguments.framework,
            phase=arguments.phase or _default_phase(arguments, model_file),
            dtype=arguments.dtype,
            batch=arguments.batch,
            gpus=arguments.gpus,
            devices=arguments.devices,
            ranks=arguments.ranks,
            steps=arguments.steps,
            warmup=arguments.warmup,
            data=registry.resolve(arguments.data) if arguments.data is not None else None,
            measure=arguments.measure,
            image=arguments.image,
            runtime=runtime,
            timeout=arguments.timeout,
            first_output_timeout=arguments.first_output,
            silence_timeout=arguments.silence,
            memory=arguments.memory,
            pids=arguments.pids,
            shm_size=arguments.shm_size,
            as_root=arguments.as_root,
            threads=arguments.threads,
            seed=arguments.seed,
            options=dict(arguments.option),
            source=Path(arguments.source) if arguments.source is not None else None,
            command=arguments.own_command,
            pattern=arguments.pattern,
            unit=arguments.unit,
            estimator=arguments.estimator,
            env=dict(arguments.env),
            prefix=prefix,
            network=arguments.network,
            python=Path(arguments.python) if arguments.python is not None else None,
        )
    except ValidationError as error:
        raise _mistake(error) from None


def _default_phase(arguments: argparse.Namespace, model_file: Path | None) -> Phase:
    """Return the default phase: training, or inference for a network without a loss."""
    usual = catalogue.default_phase(arguments.framework)
    inside = dict(arguments.option).get("prototxt")
    if model_file is None and inside and arguments.source is not None:
        model_file = Path(arguments.source) / inside
    return own_network.default_phase(catalogue.framework(arguments.framework), usual, model_file)


def _mistake(error: ValidationError) -> RequestError:
    """Name the wrong option and the values it accepts."""
    mistake = error.errors(include_url=False)[0]
    if not mistake["loc"]:  # two options that contradict each other
        return RequestError(first_mistake(error), hint="see `benchdock run -h`")
    field = str(mistake["loc"][0])
    option = field.removesuffix("_timeout").replace("_", "-")
    most = mistake.get("ctx", {}).get("le")
    if most is not None:
        return RequestError(
            f"--{option} {mistake['input']} is too large", hint=f"the maximum is {most}"
        )
    return RequestError(
        f"--{option} cannot be {quoted(str(mistake['input']))}", hint=first_mistake(error)
    )


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Run, or with --dry-run print what would run."""
    from orchestrator.run import benchmark
    from orchestrator.signals import interruptible

    request = make_request(arguments)
    machine = _described(arguments)
    if arguments.tuned:
        request = _with_tuned(request, arguments)
    if arguments.dry_run:
        _check_dry(arguments)
        planned = benchmark.dry_run(request, machine)
        if arguments.json:
            sys.stdout.write(to_json(planned))
        else:
            _show_plan(planned, machine, runs=arguments.runs)
        return ExitStatus.OK
    if arguments.find_batch:
        return _find_batch(request, arguments)
    if arguments.runs is not None:
        return _run_series(request, arguments)
    views, share = _views(arguments, single=True), gpu_sharing.chosen(arguments)
    with interruptible():
        if arguments.fit_batch:
            result, status = _fit(request, views, share)
        else:
            result, status = benchmark.run_in_view(request, views, share=share)
    if arguments.json:
        sys.stdout.write(to_json(result))
    if result.failure is not None:
        Outlet(sys.stderr).line(f"benchdock: {result.failure.message}")
    return _through_gate((result,), arguments.require, status)


def _with_tuned(request: Request, arguments: argparse.Namespace) -> Request:
    """Add what `benchdock tune` found. Raises RequestError if it found nothing."""
    from orchestrator import tuned
    from orchestrator.run.decision import decide
    from orchestrator.run.facts import ThisMachine

    if arguments.machine is not None:
        raise RequestError(
            "--tuned is what was found on this machine, but --machine describes another one",
            hint="remove --tuned or --machine",
        )
    found = tuned.known(request, decide(request, ThisMachine()).target.device)
    if not arguments.quiet:
        Outlet(sys.stderr).line(f"tuned: {found}")
    return found.applied(request)


def _fit(
    request: Request, new_view: Callable[[], View], share: Sharing
) -> tuple[Result, ExitStatus]:
    from orchestrator.run import batches

    return batches.Fit(new_view, share).run(request, "")


def _check_dry(arguments: argparse.Namespace) -> None:
    """Refuse options that need a result. Raises RequestError."""
    given = {
        f"--require {arguments.require}": arguments.require is not None,
        "--fit-batch": arguments.fit_batch,
        "--find-batch": arguments.find_batch,
    }
    for option, is_given in given.items():
        if is_given:
            name = option.partition(" ")[0]
            raise RequestError(
                f"{option} needs a result, but --dry-run measures nothing",
                hint=f"remove {name} or --dry-run",
            )


def _through_gate(
    results: Sequence[Result], required: Trust | None, status: ExitStatus
) -> ExitStatus:
    """Return the status of a measurement, or that --require is not met, and say why."""
    from orchestrator.run import judging

    if required is None or status is not ExitStatus.OK:
        return status
    why = judging.missed(results, required)
    if not why:
        return status
    Outlet(sys.stderr).line(f"benchdock: {why}")
    return ExitStatus.GATE_MISSED


def _described(arguments: argparse.Namespace) -> Machine | None:
    """Read the machine file of --machine. Raises RequestError without --dry-run."""
    if arguments.machine is None:
        return None
    if not arguments.dry_run:
        raise RequestError(
            "--machine only works with --dry-run: nothing can be started on another machine",
            hint="add --dry-run",
        )
    from orchestrator.machine import description

    return description.read(Path(arguments.machine))


def _run_series(request: Request, arguments: argparse.Namespace) -> ExitStatus:
    """Run several times, show each result, then their summary."""
    from orchestrator.run import batches, series
    from orchestrator.signals import interruptible
    from orchestrator.ui import of_series

    view, share = _views(arguments), gpu_sharing.chosen(arguments)
    run = batches.Fit(view, share).run if arguments.fit_batch else series.in_views(view, share)
    with interruptible():
        made = series.measure(request, arguments.runs, run)
    if arguments.json:
        print(json.dumps(made.as_json(), indent=2))
    else:
        of_series.show(made)
    if made.ended:
        Outlet(sys.stderr).line(f"benchdock: {made.ended}")
    return _through_gate(made.results, arguments.require, made.status)


def _find_batch(request: Request, arguments: argparse.Namespace) -> ExitStatus:
    """Try batches, show each result, then the fastest one."""
    from orchestrator.run import batches, series
    from orchestrator.signals import interruptible
    from orchestrator.ui import of_batches

    passes = batches.PASSES if arguments.runs is None else arguments.runs
    with interruptible():
        run = series.in_views(_views(arguments), gpu_sharing.chosen(arguments))
        found = batches.find(request, passes, run)
    if arguments.json:
        print(json.dumps(found.as_json(), indent=2))
    else:
        of_batches.show(found)
    status = ExitStatus.BENCHMARK_FAILED if found.best is None else found.status
    if status is not ExitStatus.OK:  # otherwise a lack of memory is just where the search ended
        Outlet(sys.stderr).line(f"benchdock: {found.failure}")
    return _through_gate(found.best.results if found.best else (), arguments.require, status)


def _views(arguments: argparse.Namespace, *, single: bool = False) -> Callable[[], View]:
    """Return what makes the view of each run; --quiet shows only the result of a single run."""
    from orchestrator import ui

    if arguments.quiet and not single:
        from orchestrator.ui.plain import SilentView

        return SilentView
    return partial(
        ui.choose,
        quiet=arguments.quiet,
        verbose=arguments.verbose,
        result_on_stdout=not arguments.json,
    )


def _show_plan(result: Result, machine: Machine | None, *, runs: int | None) -> None:
    """Print the settings of a plan, then the script."""
    assert result.plan is not None
    if machine is not None:
        print(clean(f"{'machine':15} {machine}"))
    for name, texts in (("warning", result.warnings), ("note", result.notes)):
        for text in texts:
            print(clean(f"{name:15} {text}"))
    if runs is not None:
        print(f"{'runs':15} {runs}, one after the other")
    show_plan(result.plan)


def show_plan(plan: Plan) -> None:
    """Print a plan's settings, then its script."""
    before = ""
    for name, text in _settings(plan):
        print(clean(f"{'' if name == before else name:15} {text}"))
        before = name
    print("\n# launcher.sh")
    for line in plan.script.splitlines():
        print(clean(line))


def _settings(plan: Plan) -> Iterator[tuple[str, str]]:
    """Yield name and value of each setting; a name with several values is repeated."""
    shown_apart = {
        *("script", "schema_version", "warnings", "mounts", "limits", "timeouts", "source"),
        "interpreter",
    }
    for name, value in plan.model_dump(mode="json", exclude=shown_apart).items():
        if value not in (None, {}, []):
            yield name.replace("argv", "command").replace("_", " "), _shown(value)
    if plan.runtime not in ("docker", "host"):
        from orchestrator.run import program_place

        yield "started by", program_place.command_of(plan)
    if plan.source is not None and str(plan.source):
        yield "program folder", str(plan.source)
    if plan.interpreter is not None:
        yield "python", str(plan.interpreter)
    for mount in plan.mounts:
        how = "read-only" if mount.read_only else "writable"
        yield "mount", f"{mount.source} as {mount.target}, {how}"
    for name, size in (("memory", plan.limits.memory), ("shm size", plan.limits.shm_size)):
        if size is not None:
            yield "limit", f"{name} {quantity(size, BYTES)}"
    if plan.limits.pids is not None:
        yield "limit", f"{plan.limits.pids} processes"
    for one in plan.limits.ulimits:
        yield "limit", f"{one.name} {' to '.join(map(_limit, dict.fromkeys((one.soft, one.hard))))}"
    for name, seconds in (
        ("first output", plan.timeouts.first_output),
        ("silence", plan.timeouts.silence),
        ("the whole run", plan.timeouts.total),
    ):
        if seconds is not None:
            yield "longest wait", f"{name} {quantity(seconds, SECONDS)}"


def _limit(value: int) -> str:
    return "unlimited" if value < 0 else f"{value:,}"


def _shown(value: object) -> str:
    match value:
        case dict():
            return ", ".join(f"{key}={shlex.quote(str(text))}" for key, text in value.items())
        case list():
            return shlex.join(map(str, value))
        case _:
            return str(value)
