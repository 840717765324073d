"""What a search for the fastest options gave, as tables, and the command of the best."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from orchestrator.tuned import Tuned
from orchestrator.tuning import space
from orchestrator.tuning.outcome import By, Outcome, Ratio, Try
from orchestrator.tuning.soundness import Soundness
from orchestrator.ui.tables import print_table
from orchestrator.ui.text import clean
from orchestrator.units import SAMPLES_PER_SECOND, counted, quantity

_TITLES = (
    *("settings", "samples/s", "x default", "95 % interval", "samples/CPU s", "x default"),
    *("runs", ""),
)


def show(outcomes: Sequence[Outcome], found: Tuned, sound: Soundness | None, by: By) -> None:
    """Print a table of each stage, the fastest first, and how to run the fastest."""
    for outcome in outcomes:
        print()
        _show_stage(outcome, by)
    last = outcomes[-1]
    print()
    if not last.complete:
        print(f"{counted(last.left, 'run')} left: continue with the same command and --resume")
        return
    best = last.best(by)
    if best is last.default:
        print("nothing is faster than the default")
        return
    ratio = best.ratio(last.default, by)
    assert ratio is not None
    sure = f"95 % interval {_interval(ratio)}" if ratio.interval else "one pass: not sure"
    print(clean(f"the fastest is {space.title(best.change)}"))
    print(f"it is {ratio.mean:.3f} times as fast as the default ({sure})")
    if sound is not None and sound.holds is False:
        print(clean(f"do not use it, it computes something else: {sound.text}"))
        return
    if sound is not None:
        told = f"it computes the same: {sound.text}" if sound.holds else f"not proven: {sound.text}"
        print(clean(told))
    print(clean(f"run it: {command_of(found)}"))
    print("or: benchdock run ... --tuned")


def _show_stage(outcome: Outcome, by: By) -> None:
    default = outcome.default
    rest = sorted(outcome.tries[1:], key=lambda one: -(one.median(by) or 0.0))
    print_table(
        _TITLES,
        [_row(one, default) for one in (default, *rest)],
        right=range(1, len(_TITLES) - 1),
    )


def _row(one: Try, default: Try) -> tuple[str, ...]:
    ratio, cpu = one.ratio(default, "throughput"), one.ratio(default, "cpu")
    compared = one is not default
    return (
        space.title(one.change),
        _figure(one.median("throughput")),
        _factor(ratio) if compared else "",
        _interval(ratio) if compared else "",
        _figure(one.median("cpu")),
        _factor(cpu) if compared else "",
        str(len(one.speeds)),
        one.failure,
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else quantity(value, SAMPLES_PER_SECOND).split()[0]


def _factor(ratio: Ratio | None) -> str:
    return "-" if ratio is None else f"{ratio.mean:.3f}"


def _interval(ratio: Ratio | None) -> str:
    if ratio is None or ratio.interval is None:
        return "-"
    return "{:.3f} to {:.3f}".format(*ratio.interval)


def command_of(found: Tuned) -> str:
    """Return the command that runs the fastest settings."""
    asked = found.applied(found.asked)
    words = ["benchdock", "run", str(asked.model_file or asked.model), "-f", asked.framework]
    words += ["--phase", asked.phase]
    told = {
        "dtype": None if asked.dtype == "float32" else asked.dtype,
        "batch": asked.batch,
        "gpus": _gpus(asked.gpus),
        "devices": asked.devices,
        "ranks": asked.ranks,
        "steps": asked.steps,
        "warmup": asked.warmup,
        "threads": asked.threads,
        "data": asked.data,
        "measure": asked.measure,
        "image": asked.image,
        "runtime": None if asked.runtime == "auto" else asked.runtime,
        "python": asked.python,
    }
    for name, value in told.items():
        if value is not None:
            words += [f"--{name}", str(value)]
    for name, text in asked.options.items():
        words += ["--option", f"{name}={text}"]
    return shlex.join(words)


def _gpus(chosen: object) -> str | None:
    if chosen is None or isinstance(chosen, str):
        return chosen
    assert isinstance(chosen, tuple)
    return ",".join(map(str, chosen))
