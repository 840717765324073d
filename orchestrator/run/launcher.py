"""Renders the bash script that a run executes.

Every value is shell-quoted on its way out of a template, by the environment and not by the
template's author; constructs that could join a value to text before that are refused.
"""

from __future__ import annotations

import functools
import hashlib
import re
import shlex
import sys
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePath
from typing import Any

import jinja2
from jinja2 import (
    BytecodeCache,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateNotFound,
    nodes,
)
from jinja2.bccache import Bucket
from markupsafe import Markup

from orchestrator import installation
from orchestrator.errors import RequestError, quoted
from orchestrator.paths import LAUNCHERS, written_aside
from orchestrator.request import Device, Dtype, Phase

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OPTION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class LauncherContext:
    """What a launcher template may write, as the program will see it (paths in the container).

    `work_folder` is the working directory; `log` takes stdout and stderr; `module_path` goes before
    PYTHONPATH. `environment` is set last, so it overrides what the launcher sets itself. For
    vendors' programs: `network` is the program's name of the model, `source` its folder, `command`
    the user's words, `flags` are passed on as --name=value. `model_file` is the user's network,
    `prefix` the words before the program's command, which they start on so many `nodes`,
    `near_cpus` a list of CPUs for each process. Raises RequestError, naming the field, for a value
    that cannot be written to a script.
    """

    run_id: str
    work_folder: PurePath
    log: PurePath
    model: str
    phase: Phase
    dtype: Dtype
    batch: int
    device: Device
    devices: int
    steps: int
    warmup: int
    warmup_seconds: float | None = None
    threads: int | None = None
    seed: int = 0
    data: PurePath | None = None
    measure: str | None = None
    python: str = "python3"
    module_path: tuple[PurePath, ...] = ()
    network: str = ""
    block: int = 1
    source: PurePath | None = None
    model_file: PurePath | None = None
    command: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    near_cpus: str = ""
    nodes: int = 1
    flags: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in _texts(self):
            _check_text(name, value)
        for key in (*self.options, *self.flags):
            if not _OPTION.fullmatch(key):
                raise RequestError(
                    f"{key!r} is not an option name", hint="write --option NAME=VALUE"
                )
        for key in self.environment:
            if not _VARIABLE.fullmatch(key):
                raise RequestError(
                    f"{quoted(key)} is not a variable name", hint="use letters, digits and _"
                )
        for path in self.module_path:
            if ":" in str(path):
                raise RequestError(
                    f"module_path: PYTHONPATH cannot hold {str(path)!r}",
                    hint="use a folder without ':' in its name",
                )

    @property
    def search_path(self) -> str:
        """Return `module_path` in the form of PYTHONPATH."""
        return ":".join(str(path) for path in self.module_path)

    @property
    def global_batch(self) -> int:
        """Return the number of samples of one step on all devices."""
        return self.batch * self.devices

    @property
    def all_steps(self) -> int:
        """Return all steps, timed or not, for programs without warm-up."""
        return self.warmup + self.steps

    @property
    def blocks(self) -> int:
        """Return the number of blocks of timed steps, for programs that count in blocks."""
        return self.steps // self.block

    @property
    def samples(self) -> int:
        """Return the samples of all steps, timed or not."""
        return self.global_batch * self.all_steps

    @property
    def window_steps(self) -> int:
        """Return the number of steps after which windows as long as the warm-up have all been
        printed.

        A window's line comes with the step after it.
        """
        return self.all_steps + 1

    @property
    def window_samples(self) -> int:
        """Return the samples of `window_steps`."""
        return self.global_batch * self.window_steps

    @property
    def device_list(self) -> str:
        """Return the devices' numbers as programs see them: `0,1,2`."""
        return ",".join(map(str, range(self.devices)))

    @property
    def exec(self) -> tuple[str, ...]:
        """Return the words that start the program in every launcher: `exec`, then the prefix."""
        return ("exec", *self.prefix)

    @property
    def prefixed_python(self) -> tuple[str, ...]:
        """Return the words that start Python in a script that starts several programs."""
        return (*self.prefix, self.python)

    @property
    def network_words(self) -> tuple[str, ...]:
        """Return the parts of a network name that has several: `resnet` and `50`."""
        return tuple(self.network.split())


_COMPUTED = (
    "search_path",
    "global_batch",
    "all_steps",
    "blocks",
    "samples",
    "window_steps",
    "window_samples",
    "device_list",
    "exec",
    "prefixed_python",
    "network_words",
)


def render(template: str, context: LauncherContext) -> str:
    """Return the script from `launchers/<template>.sh.j2`."""
    values = {f.name: getattr(context, f.name) for f in fields(context)}
    for name in _COMPUTED:
        values[name] = getattr(context, name)
    return rendered(f"{template}.sh.j2", values)


def rendered(name: str, values: Mapping[str, Any]) -> str:
    """Return the script from the template in the file `launchers/<name>`."""
    return _environment().get_template(name).render(values)


def parsed(name: str) -> nodes.Template:
    """Return the syntax tree of the template in the file `launchers/<name>`."""
    environment = _environment()
    assert environment.loader is not None
    source, _, _ = environment.loader.get_source(environment, name)
    return environment.parse(source, name)


def _texts(context: LauncherContext) -> Iterator[tuple[str, str]]:
    """Yield every text in a context with the name of its field."""
    for f in fields(context):
        value = getattr(context, f.name)
        if isinstance(value, Mapping):
            for key, text in value.items():
                yield f.name, key
                yield f"{f.name} {key}", text
        elif isinstance(value, tuple):
            yield from ((f.name, str(part)) for part in value)
        elif isinstance(value, str | PurePath):
            yield f.name, str(value)


def _check_text(name: str, text: str) -> None:
    if any(unicodedata.category(c) == "Cc" for c in text):
        raise RequestError(
            f"{name}: {text[:60]!r} contains a control character",
            hint="write it without control characters",
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RequestError(
            f"{name}: {text[:60]!r} is not valid UTF-8", hint="rename it to plain text"
        ) from None


def quote(value: object) -> Markup:
    """Return a value as shell words: text and numbers as one word, a list as one word per item.

    Markup, the output of a macro or block, has been quoted before. Raises TypeError for values
    without a unique shell form: None, True, a mapping.
    """
    match value:
        case Markup():
            return value
        case bool():
            raise TypeError(f"a launcher cannot write {value!r}")
        case str() | int() | float() | PurePath():
            return Markup(shlex.quote(str(value)))
        case list() | tuple():
            return Markup(" ").join(quote(item) for item in value)
        case _:  # an undefined name reports itself when it is formatted
            raise TypeError(f"a launcher cannot write {value}")


_REFUSED: tuple[type[nodes.Node], ...] = (
    nodes.Filter,
    nodes.FilterBlock,
    nodes.Concat,
    nodes.BinExpr,
    nodes.EvalContextModifier,
)
_METHODS = frozenset({"items"})


def check_template(tree: nodes.Template) -> None:
    """Refuse filters, joins and methods, which could carry a value past `quote`. Raises TypeError.

    Jinja would escape such a value for HTML, which means nothing to a shell.
    """
    for node in tree.find_all(_REFUSED):
        if not isinstance(node, nodes.And | nodes.Or):
            raise TypeError(
                f"line {node.lineno}: {type(node).__name__} is not allowed in a launcher"
            )
    for call in tree.find_all(nodes.Call):
        target = call.node
        if isinstance(target, nodes.Name) or (
            isinstance(target, nodes.Getattr) and target.attr in _METHODS
        ):
            continue
        raise TypeError(f"line {call.lineno}: method calls are not allowed in a launcher")


class _Loader(FileSystemLoader):
    """Finds a missing template to be a fault of the installation."""

    def get_source(
        self, environment: Environment, template: str
    ) -> tuple[str, str, Callable[[], bool]]:
        try:
            return super().get_source(environment, template)
        except TemplateNotFound:
            raise installation.without(LAUNCHERS / template) from None


class _BesideTemplates(BytecodeCache):
    """Keeps the code of templates as Python keeps that of modules: beside them, in __pycache__.

    Compiling one takes a tenth of the CPU time before a container starts.
    """

    def __init__(self) -> None:
        self._compiler = f"{jinja2.__version__}\0{Path(__file__).read_text('utf-8')}"

    def get_cache_key(self, name: str, filename: str | None = None) -> str:  # noqa: ARG002
        return name

    def get_source_checksum(self, source: str) -> str:
        """Identify the template and what checks, quotes and compiles it."""
        return hashlib.sha256(f"{source}\0{self._compiler}".encode()).hexdigest()

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError), _code_of(bucket).open("rb") as file:
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        if sys.dont_write_bytecode:
            return
        path = _code_of(bucket)
        with suppress(OSError):  # the folder is not ours
            path.parent.mkdir(exist_ok=True)
            with written_aside(path, durable=False) as file:
                bucket.write_bytecode(file)


def _code_of(bucket: Bucket) -> Path:
    return LAUNCHERS / "__pycache__" / f"{bucket.key}.{sys.implementation.cache_tag}"


class _CheckedEnvironment(Environment):
    """Compiles templates that pass `check_template`."""

    def compile(self, source: str | nodes.Template, *more: Any, **named: Any) -> Any:
        tree = self.parse(source, *more[:2]) if isinstance(source, str) else source
        check_template(tree)
        return super().compile(tree, *more, **named)


@functools.cache
def _environment() -> Environment:
    options: dict[str, Any] = {
        # Marks the output of macros and blocks, so that it is not quoted twice.
        "autoescape": True,
        "finalize": quote,
        "undefined": StrictUndefined,
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
    }
    environment = _CheckedEnvironment(
        loader=_Loader(LAUNCHERS), bytecode_cache=_BesideTemplates(), **options
    )
    environment.globals.clear()
    return environment
