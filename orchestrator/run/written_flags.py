"""Finds the flags that a launcher writes itself, which `flag.NAME` may not change.

If a flag is given twice, a program uses the last one, so its result would not be of the planned
run.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence

from jinja2 import nodes

from orchestrator.errors import RequestError
from orchestrator.frameworks.record import FLAG, Framework
from orchestrator.run import launcher

_FLAG = re.compile(r"(?<![\w-])--([A-Za-z][\w-]*)")
# A flag, the expression of its value if it has one, and the conditions for writing it.
_Written = tuple[str, Sequence[nodes.Node], tuple[nodes.Node, ...]]
# Names in a template -> what the user types to set them.
_TYPED: Mapping[str, str] = {
    **dict.fromkeys(("model", "network", "network_words", "model_file"), "a different MODEL"),
    **dict.fromkeys(("batch", "global_batch"), "--batch"),
    **dict.fromkeys(("steps", "all_steps", "blocks", "block", "samples"), "--steps"),
    **dict.fromkeys(("window_steps", "window_samples"), "--steps"),
    **dict.fromkeys(("devices", "device", "device_list"), "--gpus"),
    **{name: f"--{name}" for name in ("warmup", "dtype", "phase", "threads", "seed", "data")},
}


def check(framework: Framework, name: str) -> None:
    """Refuse a flag that the launcher writes, in any spelling. Raises RequestError."""
    for written, typed in _of_row(framework).items():
        if _spellings(name) & _spellings(written) or _folded(written).startswith(_folded(name)):
            raise RequestError(
                f"--option {FLAG}{name} is refused: benchdock writes --{written} itself",
                hint=f"use {typed}" if typed else f"remove --option {FLAG}{name}",
            )


def of_template(name: str) -> Mapping[str, str]:
    """Return every flag that a launcher may write -> what to type instead, "" if nothing."""
    found: dict[str, str] = {}
    valued: set[str] = set()
    for source in _sources(f"{name}.sh.j2"):
        for flag, value, conditions in _in_body(launcher.parsed(source).body, ()):
            typed = _typed(flag, value, conditions)
            if not found.get(flag) or (value and typed and flag not in valued):
                found[flag] = typed
            if value:
                valued.add(flag)
    return found


@functools.cache
def _of_launcher(name: str) -> Mapping[str, str]:
    return of_template(name)


def _of_row(framework: Framework) -> Mapping[str, str]:
    """Return the launcher's flags and those in the program's names of networks."""
    names = " ".join((framework.networks or {}).values())
    return {
        **_of_launcher(framework.launcher),
        **dict.fromkeys(_FLAG.findall(names), _TYPED["model"]),
    }


def _spellings(flag: str) -> set[str]:
    """Return a flag as programs accept it: with dashes or underscores, and with `no` before it."""
    folded = _folded(flag)
    return {folded, folded.removeprefix("no_").removeprefix("no")}


def _folded(flag: str) -> str:
    return flag.lower().replace("-", "_")


def _sources(template: str) -> Iterator[str]:
    """Yield a template, those that it extends and those that it imports."""
    yield template
    tree = launcher.parsed(template)
    named = [node.template for node in tree.find_all(nodes.Extends)]
    named += [node.template for node in tree.find_all(nodes.FromImport)]
    for other in named:
        if isinstance(other, nodes.Const):
            yield from _sources(other.value)


def _in_body(body: Sequence[nodes.Node], conditions: tuple[nodes.Node, ...]) -> Iterator[_Written]:
    """Yield the flags that some nodes write."""
    for index, node in enumerate(body):
        following = body[index + 1 : index + 2]
        match node:
            case nodes.Output():
                yield from _in_output(node, following, conditions)
            case nodes.If():
                inside = (node.test, *conditions)
                yield from _in_body(node.body, inside)
                yield from _in_body(node.elif_, conditions)
                yield from _in_body(node.else_, inside)
            case nodes.Block() | nodes.For() | nodes.Macro():
                yield from _in_body(node.body, conditions)


def _in_output(
    output: nodes.Output, following: Sequence[nodes.Node], conditions: tuple[nodes.Node, ...]
) -> Iterator[_Written]:
    parts = [*output.nodes, *following]
    for index, part in enumerate(parts):
        if not isinstance(part, nodes.TemplateData):
            continue
        for match in _FLAG.finditer(part.data):
            rest = part.data[match.end() :]
            value = parts[index + 1 : index + 2] if rest in ("=", " ") else []
            yield match[1], [node for node in value if not _is_flag(node)], conditions


def _is_flag(node: nodes.Node) -> bool:
    """Whether a flag is followed by another flag instead of its value."""
    first = next(node.find_all(nodes.TemplateData), None)
    return isinstance(node, nodes.If) and first is not None and first.data.startswith("--")


def _typed(flag: str, value: Sequence[nodes.Node], conditions: tuple[nodes.Node, ...]) -> str:
    """Choose what to type: what has the flag's name, else its value, else its condition."""
    told = [name for node in (*value, *conditions) for name in _names(node)]
    if value and isinstance(value[0], nodes.If):
        told = [name for node in (*conditions, value[0].test) for name in _names(node)]
    options = (name for name in told if name.startswith("--option "))
    alike = (name for name in options if name.removeprefix("--option ") in _folded(flag))
    return next(alike, None) or next(iter(told), "")


def _names(node: nodes.Node) -> Iterator[str]:
    """Yield what sets the values that an expression reads, in order."""
    if isinstance(node, nodes.Getattr):
        yield f"--option {node.attr}"
    elif isinstance(node, nodes.Name) and node.name in _TYPED:
        yield _TYPED[node.name]
    elif not isinstance(node, nodes.If):
        for child in node.iter_child_nodes():
            yield from _names(child)
