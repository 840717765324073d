"""Requirements of vendors' programs: their folder, their options, a command to run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath

from orchestrator.errors import RequestError, unknown
from orchestrator.frameworks.record import FLAG, OF_BENCHDOCK, Framework
from orchestrator.images.reference import parse_any
from orchestrator.request import Device, Request
from orchestrator.run import command_line, feeding, program_release

CUSTOM = "custom"


def check(
    framework: Framework, request: Request, device: Device, *, elsewhere: bool = False
) -> None:
    """Refuse what a program does not support or lacks, before anything starts.

    If the plan is for a machine `elsewhere`, --source need not exist here. Raises RequestError.
    """
    _check_command(framework, request)
    if framework.is_our_program and request.source is not None:
        raise RequestError(
            f"{framework.name} is built in, so --source does not apply", hint="remove --source"
        )
    for field, why in framework.vendor.refuses.items() if framework.vendor else ():
        if _given(request, field):
            raise RequestError(
                f"--{_flag(field)} does not apply to {framework.name}: {why}",
                hint=f"remove --{_flag(field)}",
            )
    check_measure(framework, request)
    check_options(framework, request.options)
    if request.options:
        feeding.check(framework, request, device)
    _check_image(framework, request)
    _check_source(framework, request, device, elsewhere=elsewhere)
    if request.source is not None:
        program_release.check(framework, request)


def options_of(framework: Framework, request: Request) -> dict[str, str]:
    """Return a program's options with their defaults; for our own programs only those that were
    given.

    Without the flags of `flags_of`, which are passed on unchanged.
    """
    asked = {key: text for key, text in request.options.items() if key not in OF_BENCHDOCK}
    if framework.is_our_program:
        return asked
    defaults = {name: option.default for name, option in framework.options.items()}
    given = {key: text for key, text in asked.items() if not key.startswith(FLAG)}
    return defaults | given


def flags_of(request: Request) -> dict[str, str]:
    """Return the program's flags that are passed on unchanged, by name."""
    return {
        key.removeprefix(FLAG): text
        for key, text in request.options.items()
        if key.startswith(FLAG)
    }


def notes(framework: Framework, request: Request) -> Iterator[str]:
    """Yield notes for the result: ignored options and caveats of the program."""
    vendor = framework.vendor
    if vendor is None:
        return
    if vendor.remark:
        yield vendor.remark
    if request.model in vendor.differs:
        yield f"{framework.name}'s {request.model} {vendor.differs[request.model]}"
    for field, why in vendor.ignores.items():
        if _given(request, field):
            yield f"{framework.name} ignores --{_flag(field)}: {why}"
    if framework.any_network and request.command is not None:
        used = command_line.placeholders(request.command)
        for field in ("steps", "warmup"):
            if getattr(request, field) is not None and field not in used:
                yield f"--{field} has no effect: the command has no {{{field}}}"


def command_of(request: Request, values: Mapping[str, object]) -> tuple[str, ...]:
    """Return the words of the user's command. Raises RequestError."""
    return command_line.words(request.command, values) if request.command is not None else ()


def source_of(framework: Framework, request: Request, mounted: PurePath | None) -> PurePath | None:
    """Return the program's folder as the program sees it, None if there is none."""
    if request.source is not None:
        return mounted
    return PurePath(framework.vendor.home) if framework.vendor and framework.vendor.home else None


def lacks_source(framework: Framework, request: Request, device: Device) -> str:
    """Say what folder is missing, or ""."""
    vendor = framework.vendor
    if vendor is None or not vendor.source_help or request.source is not None:
        return ""
    inside = request.python is None and (request.image is not None or device in vendor.holds)
    if vendor.home and inside:
        return ""
    return f"{framework.name} needs the program's folder: point --source to {vendor.source_help}"


def check_measure(framework: Framework, request: Request) -> None:
    """Refuse --measure where nothing is read. Raises RequestError."""
    if request.measure is None:
        return
    if not framework.is_our_program:
        raise RequestError(
            f"--measure does not apply to {framework.name}, which runs a vendor's program",
            hint="remove --measure",
        )
    if request.data is None:
        raise RequestError("--measure needs real data", hint="add --data DIR or remove --measure")


def check_options(framework: Framework, options: Mapping[str, str]) -> None:
    """Refuse an option, or its value, that a program does not have or accept."""
    for key, text in options.items():
        if framework.vendor and framework.vendor.flags and key.startswith(FLAG) and key != FLAG:
            from orchestrator.run import written_flags  # it needs jinja2

            written_flags.check(framework, key.removeprefix(FLAG))
            continue
        option = framework.options.get(key) or OF_BENCHDOCK.get(key)
        if option is None:
            feeding.check_known(framework, key)
            listing = f"benchdock frameworks {framework.name}"
            raise unknown(f"option of {framework.name}", key, framework.options, listing=listing)
        if not option.accepts(text):
            raise RequestError(
                f"{framework.name}: {key} cannot be {text!r}",
                hint=f"use one of {', '.join(option.values)}",
            )


def _check_image(framework: Framework, request: Request) -> None:
    """Refuse an image whose tag shows that it has a different program, or too old a Python."""
    if request.image is None:
        return
    reference = parse_any(request.image)
    if framework.backend and reference.has_python_2:
        raise RequestError(
            f"{framework.name} runs code of benchdock, which needs Python 3, but {reference.short} "
            "has Python 2",
            hint="use an image with -py3 in its tag",
        )
    if request.source is not None or framework.vendor is None:
        return
    for part, (why, instead) in framework.vendor.unfit_tags.items():
        if part in reference.tag:
            raise RequestError(
                f"{framework.name} cannot run in {request.image}: {why}", hint=instead
            )


def _check_source(
    framework: Framework, request: Request, device: Device, *, elsewhere: bool
) -> None:
    if request.source is None:
        if lacking := lacks_source(framework, request, device):
            what, _, hint = lacking.partition(": ")
            raise RequestError(what, hint=hint)
        return
    vendor = framework.vendor
    if vendor is None or not (vendor.source_help or framework.any_network):
        raise RequestError(
            f"--source does not apply to {framework.name}",
            hint="remove --source: its images contain the program",
        )
    if elsewhere and not request.source.exists():
        return
    try:
        inside = os.listdir(request.source)
    except OSError as error:
        raise RequestError(
            f"--source {request.source} cannot be read: {error.strerror}",
            hint=f"point --source to {vendor.source_help}"
            if vendor.source_help
            else "use a folder",
        ) from None
    if vendor.entry and not (Path(request.source) / vendor.entry).is_file():
        there = ", ".join(sorted(inside)[:5]) or "nothing"
        raise RequestError(
            f"--source {request.source} does not contain {vendor.entry} (it contains {there})",
            hint=f"point --source to {vendor.source_help}",
        )


def _check_command(framework: Framework, request: Request) -> None:
    """Check the options that only the program `custom` has."""
    given = [
        field for field in ("command", "pattern", "unit", "estimator") if _given(request, field)
    ]
    if not framework.any_network:
        if given:
            raise RequestError(
                f"--{given[0]} only works with -f {CUSTOM}",
                hint=f"use -f {CUSTOM} or remove --{given[0]}",
            )
        return
    if request.command is None:
        raise RequestError(
            f"{framework.name} needs a command", hint="use --command 'prog --batch {batch}'"
        )
    command_line.check(request.command, request)
    from orchestrator.parsers import ParseHints, parser_for  # other programs are not read here

    hints = ParseHints(pattern=request.pattern, unit=request.unit, estimator=request.estimator)
    parser_for(framework.program, hints)


def _given(request: Request, field: str) -> bool:
    return bool(getattr(request, field) != type(request).model_fields[field].default)


def _flag(field: str) -> str:
    return field.replace("_", "-")
