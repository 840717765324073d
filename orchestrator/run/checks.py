"""Checks a request on a device before anything starts.

`CHECKS` is the list; each check raises a RequestError or DataError that says what to type instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.errors import DataError, RequestError, either
from orchestrator.frameworks import catalogue, record
from orchestrator.frameworks.record import Framework
from orchestrator.images.reference import parse_reference
from orchestrator.request import Device, Request, RuntimeChoice
from orchestrator.run import feeding, own_network, program_rules, surroundings, variants


@dataclass(frozen=True, kw_only=True)
class Question:
    """Whether a framework can run a request on a device; on a machine `elsewhere`, its folders
    need not exist here.
    """

    request: Request
    framework: Framework
    device: Device
    elsewhere: bool = False


def _network_file(asked: Question) -> None:
    own_network.check(asked.framework, asked.request, catalogue.FRAMEWORKS.values())


def _counts(asked: Question) -> None:
    record.settle_counts(asked.framework, asked.request, asked.device)


def _program(asked: Question) -> None:
    program_rules.check(asked.framework, asked.request, asked.device, elsewhere=asked.elsewhere)


def _dataset(asked: Question) -> None:
    data = asked.request.data
    if data is not None and not (asked.elsewhere and not data.exists()):
        check_dataset(data)
        _contents(asked, data)
        _page_cache(asked, data)


def _contents(asked: Question, data: Path) -> None:
    """Raise DataError for what a quick look finds in a dataset whose reader is known."""
    from orchestrator.data import checking, wanted

    needs = wanted.of(asked.request.model, asked.framework)
    if needs.reader is None:
        return
    report = checking.check(data, needs, light=True)
    if report.faults:
        first = report.faults[0]
        raise DataError(f"{first.where}: {first.what}", hint=first.hint or _whole_check(asked))


def _page_cache(asked: Question, data: Path) -> None:
    """Raise DataError or MachineError if the page cache cannot be as requested."""
    state = feeding.page_cache_of(asked.request)
    if state is not None:
        from orchestrator.run import page_cache  # only then

        page_cache.check(data, state)


def _whole_check(asked: Question) -> str:
    return f"run `benchdock data check {asked.request.data} -f {asked.framework.name}`"


def _ranks(asked: Question) -> None:
    able = [one.name for one in catalogue.FRAMEWORKS.values() if one.ranks]
    if (asked.request.ranks or 1) > 1 and not asked.framework.ranks:
        raise RequestError(
            f"{asked.framework.name} has no --ranks: it uses all CPUs from one process",
            hint=f"remove --ranks, or use -f {either(able)}",
        )


def _python(asked: Question) -> None:
    if asked.request.python is not None and not asked.framework.package:
        raise RequestError(
            f"--python does not apply to {asked.framework.name}, which is not a Python package",
            hint="remove --python",
        )


CHECKS: tuple[Callable[[Question], None], ...] = (
    _network_file,
    _counts,
    _program,
    _ranks,
    _dataset,
    _python,
)


def _check_image(name: str, runtime: RuntimeChoice) -> None:
    if runtime in (RuntimeChoice.PODMAN, RuntimeChoice.APPTAINER, RuntimeChoice.SRUN):
        from orchestrator.runtimes.by_command import references  # only for these

        references.written(name, runtime.value)
    else:
        parse_reference(name)


def framework_for(
    request: Request,
    device: Device,
    *,
    elsewhere: bool = False,
    images: Mapping[Device, str] | None = None,
) -> Framework:
    """Return the framework, in the release that the request names, that passes every check.

    `images` replace those of the framework. How many devices it can use is checked later, when one
    is known to work (`fitting.fit`). Raises RequestError, DataError.
    """
    if request.image is not None:
        _check_image(request.image, request.runtime)
    surroundings.check(request)
    framework = catalogue.framework(request.framework)
    if images is not None:
        framework = replace(framework, images=images)
    framework = variants.settle(framework, request, device)
    catalogue.check(framework, request, device)
    asked = Question(request=request, framework=framework, device=device, elsewhere=elsewhere)
    for check in CHECKS:
        check(asked)
    return framework


def is_able(request: Request, device: Device) -> bool:
    """Whether the framework supports the model, phase and number type on a device."""
    try:
        framework = variants.settle(catalogue.framework(request.framework), request, device)
        catalogue.check(framework, request, device)
    except RequestError:
        return False
    return True


def check_dataset(folder: Path) -> None:
    """Raise DataError unless the folder can be read and is not empty."""
    if folder.resolve() == Path("/"):
        raise DataError("a dataset cannot be the whole file system", hint="use --data FOLDER")
    try:
        with os.scandir(folder) as entries:
            empty = next(entries, None) is None
    except FileNotFoundError:
        raise DataError(
            f"the dataset {folder} does not exist",
            hint="use --data FOLDER or a name that `benchdock data list` shows",
        ) from None
    except NotADirectoryError:
        raise DataError(f"the dataset {folder} is a file", hint="use --data FOLDER") from None
    except OSError as error:
        raise DataError(f"the dataset {folder} cannot be read: {error.strerror}") from None
    if empty:
        raise DataError(f"the dataset folder {folder} is empty")
