r"""How to write a parser of a vendor's program: its format, and the rules of its lines.

A parser module is data and small functions; `vendor` does everything that is common:

    program = "horovod"

    def _window(log: Log, found: Found) -> None:
        log.window((found.count("step"),), found.number("rate"), found.line)

    def _total(log: Log, found: Found) -> None:
        log.run.take("total", found.number("rate"), found.line)

    def _conclude(run: Run, hints: ParseHints) -> None:
        run.recompute(first=0, last=0)
        run.headline(run.printed.get("total"), estimator="mean_of_rates", missing="Total img/sec")

    FORMAT = Format(
        program=program,
        rules=(
            Rule(b"Iter #", re.compile(rf"Iter #(?P<step>{COUNT}): (?P<rate>{NUMBER}) img/sec"),
                 _window),
            Rule(b"Total img/sec", re.compile(rf"Total img/sec .*: (?P<rate>{NUMBER}) "), _total),
        ),
        conclude=_conclude,
    )

    def Parser(hints: ParseHints) -> LogParser:  # noqa: N802
        return vendor.Parser(FORMAT, hints)

and the module is listed in `orchestrator/log_formats.py`.

Lines. Only lines that contain a rule's needle are read, so a needle must be bytes that every line
of the rule contains and few others do. A pattern is *matched* at the line's start (without colours,
rank prefix and space at both ends); the first rule that matches takes the line. Use NUMBER and
COUNT of `numbers`, or ONE_DECIMAL and similar ones if printf fixes the digits, and let the pattern
continue after the number: a number that is cut off by a line's end must not match. `open_end` is
for numbers of any length at a line's end. A line that matches nothing is skipped, with a warning if
it contains one of `marks`. `found.number()` is None if the log is cut off right after the number:
pass it on, `take` and `window` handle it.

Ranks. A `Log` is what one rank printed (by prefix), and has separate runs. If a figure is of all
ranks, the lowest rank with a result counts; `take` and `window` recognize what is repeated. If each
rank prints the rate of its devices (`shares`), `workers` adds up their windows. Prefixes of log
collectors are removed before a parser sees a line (`collected`); one that identifies a rank becomes
such a prefix.

Runs. A log may contain several runs. A rule calls `log.begin()` at the line that only starts one
(which does nothing while the run is empty); `log.window` does it by itself if step numbers start
again. With more than one run there is no result unless one is chosen (`--block N`); all of them
are in `begin["blocks"]`, each with its metrics. If the output of workers was gathered one after the
other, their totals agree and the fact `workers` gives their number: the first one counts.

Request. `fact` keeps what the program states: `model`, `layers`, `mode` or `phase`,
`dtype`, `batch` (per device), `devices`, `device` (`cpu`, `gpu`). A run with a result whose facts
contradict the hints is a failure of the kind `contradiction` (`agreement`): a parser only has to
keep the facts.

Our messages. If our helper that prepares a run (it writes the network for the program) fails, it
says why in an `error` event, which becomes the failure.

Figures. `take(name, value, line)` keeps a printed number in `run.printed` and the line as evidence;
the same number again is ignored, a different one makes the run contradict itself. `conclude` turns
them into metrics by `headline` (-> throughput), `recompute` (-> throughput_recomputed) and
`seconds`. Zero, nan, inf and missing headlines become the run's problem, hence a failure.

A measurement's `begin` contains the run's facts (model, batch, devices, ...: what was printed or
hinted, `batch` per device) and always: `estimator` (one of ESTIMATORS), `scope`, `evidence` (lines
[number, text] that gave the headline), `windows` (count, used, dropped_first, dropped_last, why).
Metrics: `throughput`, `throughput_recomputed`, `throughput_min`, `throughput_max` (samples/s, all
devices); `latency_mean|median|min|max|p90|p95|p99` and `step_time_*` in seconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestrator.parsers.contract import ParseHints
from orchestrator.parsers.lines import printable
from orchestrator.parsers.log import Log
from orchestrator.parsers.numbers import SHOWN, Found
from orchestrator.parsers.run import Run
from orchestrator.units import SAMPLES_PER_SECOND


def live_samples(run: Run) -> tuple[float, str]:
    """The windows' rates are samples/s over all devices."""
    del run
    return 1.0, SAMPLES_PER_SECOND


@dataclass(frozen=True, kw_only=True)
class Format:
    """What a program prints. `conclude` is called once per run, at the end of the log.

    `table` translates bytes before needles are searched, if lines have nothing else in common.
    A program without `has_end` prints no summary: a crash after its last figure is a failure.
    `synonyms` maps models' names as the program prints them to those it accepts.
    `shares` says that each worker of a job prints the rate of its devices: they are added up.
    `marks` are parts of lines with figures: a line with one that matches no rule is damaged.
    `live` returns what a window's rate is multiplied by, and the unit that this gives, for the view
    of a running program.
    """

    program: str
    rules: tuple[Rule, ...]
    conclude: Callable[[Run, ParseHints], None]
    table: bytes | None = None
    has_end: bool = True
    synonyms: Mapping[str, str] = field(default_factory=dict)
    shares: bool = False
    marks: tuple[bytes, ...] = ()
    live: Callable[[Run], tuple[float, str]] = live_samples


@dataclass(frozen=True)
class Rule:
    """Lines that hold the needle and match the pattern at their start are taken.

    Ours are anchored, since people quote logs. With `open_end` a number may be the last of a line
    and may have any number of digits: the next line shows whether it is complete.
    """

    needle: bytes
    pattern: re.Pattern[str]
    take: Callable[[Log, Found], None]
    open_end: bool = field(default=False, kw_only=True)

    def find(self, text: str) -> re.Match[str] | None:
        """Return the match in a line."""
        # People indent the logs that they quote.
        return self.pattern.match(text, len(text) - len(text.lstrip()))


def shown(text: bytes | str) -> str:
    """Return the start of a text, safe to show on a terminal."""
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    return printable(raw[: 4 * SHOWN])[:SHOWN]
