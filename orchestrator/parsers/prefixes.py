"""Finds and removes the prefixes that log collectors put before each line.

`learn` finds the prefixes by their form in a sample of lines; a `Remover` removes them. If a prefix
identifies the process that printed the line, it becomes the prefix that `mpirun` uses,
`[job,process]<stdout>:`, which every parser knows (see `lines.clean_with_rank`).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from orchestrator.parsers.lines import RANK, clean, clean_with_rank, without_colours

_MOST_PREFIXES = 4  # one after the other
_MOST_SOURCES = 4096
_JOBS = 1000  # more than one source has
_DATE_TIME = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)"
_MONTH_TIME = rb"\w{3} [ \d]\d (?:\d{4} )?\d\d:\d\d:\d\d(?:\.\d{1,9})?(?: \d{4})?"
_LEVEL = rb"(?:DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL|FATAL)"
_TAG = rb"[A-Za-z_][\w./@-]{0,80}"
_WORD = rb"(?P<source>[\w.@-]{1,80})"
_END = rb"(?: |(?=\r?$))"  # editors remove the space if nothing follows
# Keys of a record; the first one holds the line.
_RECORDS = (("log", "stream"), ("MESSAGE",), ("textPayload",))


def _anonymous(pattern: bytes) -> bytes:
    """Return a pattern without names, so that it can be combined with another of the same names."""
    return re.sub(rb"\(\?P<\w+>", rb"(?:", pattern)


_RANK = _anonymous(RANK)


@dataclass(frozen=True, kw_only=True)
class Prefix:
    """One form of prefix.

    The pattern's group `source` names what printed the line, `process` numbers it, `part` marks a
    piece of a line that continues. An `unmistakable` form counts if a good part of the lines have
    it, any other if most lines do.
    """

    name: str
    pattern: re.Pattern[bytes]
    unmistakable: bool = True
    is_json: bool = False

    @property
    def is_word(self) -> bool:
        """Whether any word may be there, so that only the common ones count."""
        return _WORD in self.pattern.pattern

    def bare(self, line: bytes) -> bytes | None:
        """Return a line without this prefix, None if it does not have it."""
        if self.is_json:
            return _text_of(line)
        found = self.pattern.match(line)
        return None if found is None else line[found.end() :]


def _prefix(name: str, pattern: bytes, *, unmistakable: bool = True) -> Prefix:
    return Prefix(name=name, pattern=re.compile(pattern, re.M), unmistakable=unmistakable)


# Specific forms before general ones that match the same lines.
PREFIXES = (
    Prefix(
        name="JSON objects, as Docker's json-file and `journalctl -o json` write them",
        pattern=re.compile(rb"(?P<json>\{[^\n]*\}[ \t\r]*)(?:\n|\Z)"),
        is_json=True,
    ),
    _prefix(
        "Kubeflow's launcher",
        _LEVEL + rb"\|[\d-]{10}T[\d:.]{8,15}(?:Z|[+-]\d\d:\d\d)?\|[^|\n]{1,200}\|\d{1,6}\| ?",
    ),
    _prefix(
        "a node's container log",
        _DATE_TIME + rb" (?:stdout|stderr) (?:F|(?P<part>P))(?::\w+)*" + _END,
    ),
    _prefix(
        "syslog or journald",
        rb"(?:<\d{1,3}>)?(?:"
        rb"(?:" + _DATE_TIME + rb"|" + _MONTH_TIME + rb"|\[ *\d{1,9}\.\d{6}\])"
        rb" [\w.-]{1,80} " + _TAG + rb"\[\d{1,9}\]: ?"
        # Docker's stamp before two words and a colon looks like the other stamp without a number.
        rb"|" + _MONTH_TIME + rb" [\w.-]{1,80} " + _TAG + rb": )",
    ),
    _prefix("timestamps", rb"\[" + _DATE_TIME + rb"\](?:\t|" + _END + rb")"),
    _prefix("timestamps", _DATE_TIME + rb"(?: \d\d[OE](?:\+|" + _END + rb")|\t|" + _END + rb")"),
    _prefix(
        "absl or glog",
        rb"[IWEF](?:\d{4})?\d{4} \d\d:\d\d:\d\d(?:\.\d{1,9})? +\d+ [^\s\]]{1,200}:\d+\] ?",
    ),
    _prefix("Ray", rb"\((?P<source>(?:[^\s()]{1,80} )?pid=\d{1,9}(?:, ip=[\w.:]{1,60})?)\) ?"),
    _prefix(
        "SageMaker", rb"\[\d{1,9},mpirank:(?P<process>\d{1,9}),[\w.-]{1,80}\]<std(?:out|err)>:"
    ),
    _prefix("`kubectl logs --prefix`", rb"\[(?P<source>pod/[^\]\s]{1,200})\] ?"),
    _prefix("mpirun, twice", rb"(?P<rank>" + _RANK + rb")"),
    _prefix("Compose", _WORD + rb" *\|" + _END, unmistakable=False),
    _prefix("process numbers", rb"\[(?P<process>\d{1,6})\]:?" + _END, unmistakable=False),
    _prefix("timestamps", _MONTH_TIME + rb":?[ \t]", unmistakable=False),
    _prefix(
        "timestamps",
        rb"\[?\d{4}[-/]\d\d[-/]\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
        rb"(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?\]?(?:[ \t]*[-:|][ \t]|[ \t])",
        unmistakable=False,
    ),
    _prefix(
        "timestamps",
        rb"\[?\d\d:\d\d:\d\d(?:[.,]\d{1,6})?\]?(?:\t| {1,2}|(?=\r?$))",
        unmistakable=False,
    ),
    _prefix(
        "levels of a logger",
        rb"(?:(?!"
        + _LEVEL
        + rb"\b)[\w.]{1,80} - )?(?:\["
        + _LEVEL
        + rb"\] ?|"
        + _LEVEL
        + rb"(?::[\w.]{1,80}:| *[-:|] ))",
        unmistakable=False,
    ),
    _prefix("names of hosts", _WORD + rb":" + _END, unmistakable=False),
)

_ANY = re.compile(b"|".join(_anonymous(prefix.pattern.pattern) for prefix in PREFIXES), re.M)


def may_bear(lines: Sequence[bytes]) -> bool:
    """Check quickly whether any of some lines could have a prefix."""
    return any(_ANY.match(without_colours(line)) for line in lines)


def learn(lines: Sequence[bytes]) -> tuple[Prefix, ...]:
    """Return the prefixes of a log's lines, the outermost first.

    A rank's prefix is not one of them unless it is there twice: parsers know it themselves.
    """
    left = [bare for bare in map(clean, lines) if bare]
    found: list[Prefix] = []
    while left and len(found) < _MOST_PREFIXES:
        borne = [(prefix, _bearing(prefix, left)) for prefix in PREFIXES]
        # The first of those that most lines have.
        prefix, bearing = max(borne, key=lambda each: len(each[1]))
        if not bearing:
            break
        prefix = _of_these(prefix, bearing)
        found.append(prefix)
        bare = ((line, prefix.bare(line)) for line in left)
        left = [clean(line if text is None else text) for line, text in bare]
        left = [line for line in left if line]
    return tuple(found)


def _bearing(prefix: Prefix, lines: Sequence[bytes]) -> list[bytes]:
    """Return the lines that have a prefix, none if too few for a collector."""
    bearing = [line for line in lines if prefix.bare(line) is not None]
    if prefix.is_word:
        names = _names(prefix, bearing)
        usual = _usual(names)
        bearing = [line for line, name in zip(bearing, names, strict=True) if name in usual]
    least = 0.2 if prefix.unmistakable else 0.5
    return bearing if len(bearing) >= least * len(lines) else []


def _names(prefix: Prefix, lines: Sequence[bytes]) -> list[bytes]:
    return [found["source"] for line in lines if (found := prefix.pattern.match(line))]


def _usual(names: Sequence[bytes]) -> set[bytes]:
    """Return the names that are repeated: a program's lines start with ever new words."""
    if len(set(names)) == 1:
        return set(names)
    return {name for name, count in Counter(names).items() if count >= max(2, 0.03 * len(names))}


def _of_these(prefix: Prefix, lines: Sequence[bytes]) -> Prefix:
    """Restrict a prefix that can be any word to those of some lines, ignoring numbers in them."""
    if not prefix.is_word:
        return prefix
    shapes = {re.sub(rb"\d+", rb"\\d+", re.escape(name)) for name in _names(prefix, lines)}
    words = b"(?P<source>%b)" % b"|".join(sorted(shapes))
    return replace(prefix, pattern=re.compile(prefix.pattern.pattern.replace(_WORD, words), re.M))


class Remover:
    """Removes learnt prefixes from a log that comes in pieces; the number of lines stays the same.

    Lines of the first source that is named become lines without prefix: text that a process printed
    without one most likely belongs to it, and a log of one source is that of one process.
    """

    def __init__(self, prefixes: Sequence[Prefix]) -> None:
        self._stages = tuple(map(_Stage, prefixes))

    def __call__(self, text: bytes) -> bytes:
        """Return whole lines without their prefixes."""
        text = without_colours(text)
        for stage in self._stages:
            text = stage(text)
        return text


class _Stage:
    """Removes one prefix."""

    def __init__(self, prefix: Prefix) -> None:
        pattern, groups = prefix.pattern.pattern, prefix.pattern.groupindex
        if "part" in groups:
            pattern += rb"(?P<rest>(?(part)[^\n]*\n))"
        if groups.keys() & {"source", "process"}:
            pattern += rb"(?P<inner>%b)?" % _RANK
        self._pattern = re.compile(rb"^(?P<kept>%b)?(?:%b)" % (_RANK, pattern), re.M)
        self._replacement: bytes | Callable[[re.Match[bytes]], bytes] = rb"\g<kept>"
        for group, replacement in (
            ("json", self._of_json),
            ("part", self._of_part),
            ("process", self._of_process),
            ("source", self._of_source),
            ("rank", rb"\g<rank>"),
        ):
            if group in groups:
                self._replacement = replacement
        self._sources: dict[bytes, int] = {}
        self._owed = 0
        self._within = False

    def __call__(self, text: bytes) -> bytes:
        return self._pattern.sub(self._replacement, text)

    @staticmethod
    def _of_process(found: re.Match[bytes]) -> bytes:
        return found["inner"] or found["kept"] or _canonical(0, int(found["process"]))

    def _of_source(self, found: re.Match[bytes]) -> bytes:
        name, rank = found["source"], found["inner"] or found["kept"] or b""
        if len(self._sources) < _MOST_SOURCES:
            self._sources.setdefault(name, len(self._sources))
        index = self._sources.get(name, _MOST_SOURCES)
        if index == 0:
            return rank
        job, process = clean_with_rank(rank)[1] or (0, 0)
        return _canonical(index * _JOBS + job % _JOBS, process)

    def _of_json(self, found: re.Match[bytes]) -> bytes:
        text = _text_of(found["json"])
        if text is None:
            return found[0]
        ended = text.endswith(b"\n")
        # Only the end of a record counts as a line's end.
        text = text.rstrip(b"\r\n").replace(b"\n", b"\r")
        return self._joined(found["kept"] or b"", text + b"\n", whole=ended)

    def _of_part(self, found: re.Match[bytes]) -> bytes:
        return self._joined(found["kept"] or b"", found["rest"], whole=not found["part"])

    def _joined(self, kept: bytes, text: bytes, *, whole: bool) -> bytes:
        """Join the parts of a line; the saved line ends come before the next one."""
        before = b"" if self._within else b"\n" * self._owed + kept
        if not self._within:
            self._owed = 0
        self._within = not whole
        if whole:
            return before + text
        self._owed += 1
        return before + text.removesuffix(b"\n").removesuffix(b"\r")


def _canonical(job: int, process: int) -> bytes:
    return b"[%d,%d]<stdout>:" % (job, process) if job or process else b""


def _text_of(line: bytes) -> bytes | None:
    """Return the log text in a line of JSON, None if it is something else."""
    if not line.startswith(b"{"):
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    key = next((keys[0] for keys in _RECORDS if record.keys() >= set(keys)), "")
    if not isinstance(record.get(key), str):
        return None
    text: bytes = record[key].encode("utf-8", "replace")
    # Only Docker writes the line's end too.
    return text if key == "log" else text + b"\n"
