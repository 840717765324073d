"""Checks that a bundle's launcher script belongs to its request and plan.

The first lines and the words of the command are the same in every version; the rest is compared
with what this version renders.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.record import Framework
from orchestrator.images import image_table
from orchestrator.images.reference import parse_reference
from orchestrator.paths import RunFolder, runs
from orchestrator.plan import Lack, Mount, Plan
from orchestrator.request import Request
from orchestrator.result import Result
from orchestrator.results.bundle import LAUNCHER, PLAN, REQUEST, RESULT
from orchestrator.results.disagreement import Disagreement
from orchestrator.run import command_line, planner, program_rules, variants
from orchestrator.run.devices import Target
from orchestrator.run.place import CODE, DATA, MODEL, SOURCE, Needs, Place
from orchestrator.run.planner import OwnFiles
from orchestrator.runtimes.by_command.platforms import PLATFORMS, PODMAN, ContainerProgram

# Not stated elsewhere, or compared in another way.
UNSTATED = frozenset(
    {
        "schema_version", "runtime_reason", "image", "image_id", "image_digest", "gpus", "user",
        "capabilities", "environment", "source", "interpreter", "warnings", "script",
        "mounts",
    }
)  # fmt: skip

_HEADER = re.compile(
    r"^# run (?P<run>.+)\n"
    r"# model (?P<model>.+), (?P<phase>\w+), (?P<dtype>\w+), batch (?P<batch>\d+) per device, "
    r"(?P<device_count>\d+) x (?P<device>\w+)$",
    re.MULTILINE,
)
_ARGUMENT = re.compile(r"^ +--([a-z-]+)=(.*?)(?: \\)?$", re.MULTILINE)
_THREADS = re.compile(r"^export OMP_NUM_THREADS=(\d{1,4})\b", re.MULTILINE)
_CODE = re.compile(r"^export PYTHONPATH=(.+)\"\$\{PYTHONPATH", re.MULTILINE)
_PYTHON = re.compile(r"^exec (.+?) -m |(\S*/venvs/\S+/bin/python)", re.MULTILINE)


def arguments(plan: Plan) -> dict[str, object]:
    """Return the arguments of our own program, which it prints when it starts."""
    names = ("model", "phase", "dtype", "batch", "device", "steps", "warmup")
    return {**{name: getattr(plan, name) for name in names}, "devices": plan.device_count}


def stated(result: Result, request: Request, plan: Plan) -> Iterator[Disagreement]:
    """Yield disagreements of the script, whichever version wrote it."""
    yield from _of_header(result, plan)
    if request.command is not None and _knows_paths(request, plan):
        yield from _of_command(request, request.command, plan)
    if plan.program == "benchdock":
        expected = {name: (PLAN, value) for name, value in arguments(plan).items()}
        expected["seed"] = (REQUEST, request.seed)
        for name, text in _ARGUMENT.findall(plan.script):
            part, value = expected.get(name, (PLAN, _word(text)))
            if _word(text) != str(value):
                yield Disagreement(name, LAUNCHER, text, part, value)


def _of_header(result: Result, plan: Plan) -> Iterator[Disagreement]:
    head = _HEADER.search(plan.script)
    if head is None:
        yield Disagreement("what runs", LAUNCHER, None, PLAN, plan.model)
        return
    run, *facts = head.groupdict().items()
    if result.run is not None and _word(run[1]) != result.run:
        yield Disagreement("the run", LAUNCHER, run[1], RESULT, result.run)
    for name, text in facts:
        if _word(text) != str(getattr(plan, name)):
            yield Disagreement(name.replace("_", " "), LAUNCHER, text, PLAN, getattr(plan, name))


def _of_command(request: Request, command: str, plan: Plan) -> Iterator[Disagreement]:
    """Compare the words of the user's command, which follow the last `exec`."""
    asked = _with_folders(request, plan)
    folders = {
        "data": DATA if plan.in_container else asked.data,
        "source": SOURCE if plan.in_container else asked.source,
    }
    try:
        words = command_line.words(command, {**arguments(plan), **folders})
    except RequestError as error:
        yield Disagreement("the command", REQUEST, error.what, LAUNCHER, None)
        return
    last = plan.script.rstrip().rpartition("\n")[2].removeprefix("exec ")
    if plan.prefix:
        last = last.removeprefix(f"{shlex.join(plan.prefix)} ")
    if last != shlex.join(words):
        yield Disagreement("the command", REQUEST, shlex.join(words), LAUNCHER, last)


def planned_again(result: Result, request: Request, plan: Plan) -> Iterator[Disagreement]:
    """Yield what this version plans differently for the same request on an equal machine."""
    try:
        framework = _framework(request, plan)
        ranks = 1 if plan.gpus else plan.device_count
        target = Target(device=plan.device, gpus=plan.gpus, ranks=ranks, near_cpus=plan.near_cpus)
        asked = _with_folders(request, plan)
        place, folder = _place(plan), _folder(result, plan)
        expected = planner.plan_of(asked, framework, target, place, folder, found=_found(plan))
    except RequestError as error:
        yield Disagreement("what can run", REQUEST, error.what, PLAN, plan.model)
        return
    if request.image is None:
        yield from _of_image(framework, plan)
    for name in type(plan).model_fields:
        one, other = getattr(expected, name), getattr(plan, name)
        if name not in UNSTATED and one != other:
            yield Disagreement(name.replace("_", " "), REQUEST, one, PLAN, other)
    yield from _of_mounts(result, expected, plan)
    if _knows_paths(request, plan):
        yield from _of_lines(expected.script, plan.script)


def _knows_paths(request: Request, plan: Plan) -> bool:
    """Whether the paths in a script follow from the request: not relative ones on a host.

    Those were relative to the folder of the original run, which nothing else records.
    """
    named = [path for path in (request.data, request.source) if path is not None]
    return plan.in_container or all(path.is_absolute() for path in named)


# The folders and files that a request names; the rest was where it was on that machine.
_ASKED = (DATA, SOURCE, MODEL)


def _of_mounts(result: Result, expected: Plan, plan: Plan) -> Iterator[Disagreement]:
    asked, planned = (_shown(one.mounts) for one in (expected, plan))
    if asked != planned:
        yield Disagreement("what is mounted", REQUEST, asked, PLAN, planned)
    for mount in plan.mounts:
        of_run = not _is_below(mount, *_ASKED, CODE)
        if of_run and result.run is not None and result.run not in mount.source.parts:
            yield Disagreement("the run folder", RESULT, result.run, PLAN, mount.source)


def _is_below(mount: Mount, *folders: str) -> bool:
    return any(PurePath(mount.target).is_relative_to(folder) for folder in folders)


def _shown(mounts: Iterable[Mount]) -> str:
    return ", ".join(
        f"{f'{one.source} as ' if _is_below(one, *_ASKED) else ''}{one.target}"
        f"{' (read-only)' if one.read_only else ''}"
        for one in mounts
    )


def _framework(request: Request, plan: Plan) -> Framework:
    """Return the framework that runs a request. Raises RequestError if there is none."""
    framework = variants.settle(catalogue.framework(request.framework), request, plan.device)
    catalogue.check(framework, request, plan.device)
    program_rules.check_options(framework, request.options)
    program_rules.check_measure(framework, request)
    if lacking := program_rules.lacks_source(framework, request, plan.device):
        raise RequestError(lacking)
    takes = framework.any_network or (framework.vendor is not None and framework.vendor.source_help)
    if request.source is not None and not takes:
        raise RequestError(f"--source does not apply to {framework.name}")
    return framework


def _with_folders(request: Request, plan: Plan) -> Request:
    """Return a request with the decisions of its machine."""
    threads = _THREADS.search(plan.script)
    seen = {mount.target: mount.source for mount in plan.mounts}
    chosen = {
        "threads": request.threads or (int(threads[1]) if threads else None),
        "data": seen.get(DATA, request.data),
        "source": seen.get(SOURCE, request.source),
    }
    if request.model_file is not None:
        chosen["batch"] = plan.batch
    return request.model_copy(update=chosen)


def _place(plan: Plan) -> Place:
    """Return the place of a plan; on a host only the script says where Python and our code are."""
    on_host = plan.runtime == "host"
    named = plan.interpreter.path if plan.interpreter else None
    python = _PYTHON.search(plan.script) if on_host else None
    code = _CODE.search(plan.script) if on_host else None
    mounted = f"{CODE}/backends"
    return Place(
        runtime=plan.runtime,
        reason=plan.runtime_reason,
        python=str(named or (_word(python[1] or python[2]) if python else "python3")),
        interpreter=plan.interpreter,
        image=plan.image,
        code=_word(code[1]) if code else CODE,
        mount_code=any(mount.target == mounted for mount in plan.mounts),
        environment=plan.environment,
        lacks=_lacks(plan),
        needs=Needs(
            capabilities=plan.capabilities,
            shm_size=plan.limits.shm_size,
            ulimits=plan.limits.ulimits,
        ),
    )


def _lacks(plan: Plan) -> tuple[Lack, ...]:
    """Return what the runtime of a plan lacks; of podman only the plan says it."""
    platform = PLATFORMS.get(plan.runtime)
    if platform is None:
        return ()
    if platform is PODMAN:
        return plan.lacks
    return ContainerProgram(platform=platform, lacks=platform.lacks).ordered_lacks


def _folder(result: Result, plan: Plan) -> RunFolder:
    if plan.runtime == "host" and plan.argv:
        return RunFolder(Path(plan.argv[-1]).parent)
    return RunFolder(runs() / (result.run or plan.model))


def _found(plan: Plan) -> OwnFiles:
    """Return what was found in files that are not here; only the plan says it."""
    beside = f"{MODEL}/"
    files = tuple(one.source for one in plan.mounts if one.target.startswith(beside))
    return OwnFiles(fingerprint=plan.fingerprint, model_files=files, source=plan.source)


def _of_image(framework: Framework, plan: Plan) -> Iterator[Disagreement]:
    """Compare only the repository: a replay runs in an image of an older release."""
    if plan.image is None:
        return
    own = framework.images.get(plan.device)
    usual = image_table.load().image(own).tag if own else None
    if usual is None or parse_reference(plan.image).name != parse_reference(usual).name:
        yield Disagreement("the image", REQUEST, usual, PLAN, plan.image)


def _of_lines(expected: str, script: str) -> Iterator[Disagreement]:
    ours, theirs = expected.split("\n"), script.split("\n")
    for number in range(max(len(ours), len(theirs))):
        one, other = ours[number : number + 1], theirs[number : number + 1]
        if one != other:
            where = f"line {number + 1}"
            said, written = "".join(one).strip(), "".join(other).strip()
            yield Disagreement(where, f"the script of {REQUEST}", said, LAUNCHER, written)
            return


def _word(text: str) -> str:
    """Return the word that a shell reads; if it is not one word, return it as written."""
    try:
        words = shlex.split(text)
    except ValueError:
        return text
    return words[0] if len(words) == 1 else text
