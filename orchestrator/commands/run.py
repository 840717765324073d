"""`benchdock run`: one benchmark."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from orchestrator import catalogue
from orchestrator.errors import ExitStatus, RequestError, quoted
from orchestrator.request import Request
from orchestrator.result import Result
from orchestrator.run import own_network
from orchestrator.run.filing import to_json


def make_request(arguments: argparse.Namespace) -> Request:
    """Turn the command line into a request. Raises RequestError."""
    model, model_file = own_network.split(arguments.model)
    try:
        return Request(
            model=model,
            model_file=model_file,
            framework=arguments.framework,
            phase=arguments.phase or catalogue.default_phase(arguments.framework),
            dtype=arguments.dtype,
            batch=arguments.batch,
            gpus=arguments.gpus,
            steps=arguments.steps,
            warmup=arguments.warmup,
            data=Path(arguments.data) if arguments.data is not None else None,
            image=arguments.image,
            runtime=arguments.runtime,
            timeout=arguments.timeout,
            first_output_timeout=arguments.first_output,
            silence_timeout=arguments.silence,
            memory=arguments.memory,
            pids=arguments.pids,
            shm_size=arguments.shm_size,
            threads=arguments.threads,
            seed=arguments.seed,
            options=dict(arguments.option),
            source=Path(arguments.source) if arguments.source is not None else None,
            command=arguments.own_command,
            pattern=arguments.pattern,
            unit=arguments.unit,
            estimator=arguments.estimator,
        )
    except ValidationError as error:
        raise _mistake(error) from None


def _mistake(error: ValidationError) -> RequestError:
    """Say which option is wrong and what it may be."""
    mistake = error.errors(include_url=False)[0]
    field = str(mistake["loc"][0])
    option = field.removesuffix("_timeout").replace("_", "-")
    most = mistake.get("ctx", {}).get("le")
    if most is not None:
        return RequestError(
            f"--{option} {mistake['input']} is too large", hint=f"the most is {most}"
        )
    return RequestError(f"--{option} cannot be {quoted(str(mistake['input']))}: {mistake['msg']}")


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Run, or with --dry-run print what would run."""
    from orchestrator import ui
    from orchestrator.run import benchmark
    from orchestrator.signals import interruptible

    request = make_request(arguments)
    if arguments.dry_run:
        _show_plan(benchmark.dry_run(request), as_json=arguments.json)
        return ExitStatus.OK
    view = ui.choose(
        quiet=arguments.quiet, verbose=arguments.verbose, result_on_stdout=not arguments.json
    )
    try:
        with interruptible():
            result, status = benchmark.run(request, view)
    finally:
        view.close()
    if arguments.json:
        sys.stdout.write(to_json(result))
    if result.failure is not None:
        print(f"benchdock: {result.failure.message}", file=sys.stderr)
    return status


def _show_plan(result: Result, *, as_json: bool) -> None:
    """Print a plan: the record itself, or its settings followed by the script."""
    if as_json:
        sys.stdout.write(to_json(result))
        return
    plan = result.plan
    assert plan is not None
    settings = plan.model_dump(mode="json", exclude={"script", "schema_version"})
    warnings = [*result.warnings]
    settings.pop("warnings")
    for name, value in settings.items():
        if value not in (None, {}, []):
            print(f"{name:15} {_shown(value)}")
    for warning in warnings:
        print(f"{'warning':15} {warning}")
    print(f"\n# launcher.sh\n{plan.script}", end="")


def _shown(value: object) -> str:
    match value:
        case dict():
            return ", ".join(f"{k}={_shown(v)}" for k, v in value.items() if v not in (None, []))
        case list():
            return " ".join(map(_shown, value))
        case _:
            return str(value)
