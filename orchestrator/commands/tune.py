"""`benchdock tune`: find the fastest options of a framework for a network on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator import tuned, ui
from orchestrator.commands import gpu_sharing
from orchestrator.commands import suite as suites
from orchestrator.errors import ExitStatus, Interrupted
from orchestrator.frameworks import catalogue
from orchestrator.paths import home
from orchestrator.request import Device
from orchestrator.run import own_network
from orchestrator.run.sharing import Sharing
from orchestrator.signals import interruptible
from orchestrator.suites import deciding, expansion, folder, planning, preflight, resuming
from orchestrator.suites.folder import SessionFolder
from orchestrator.suites.requests import request_of
from orchestrator.tuning import search, sessions, soundness, space
from orchestrator.tuning.outcome import By, Outcome
from orchestrator.tuning.soundness import Soundness
from orchestrator.tuning.space import COUNTS, Change
from orchestrator.ui import of_tuning
from orchestrator.ui.of_session import SessionLines
from orchestrator.version import VERSION

# Keys of a request that stand on the command line under the same name.
_KEYS = (
    *("dtype", "gpus", "devices", "ranks", "steps", "warmup", "data", "measure"),
    *("image", "runtime", "python"),
)


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Search, print what each try gave, and keep the fastest. Raises RequestError, MachineError."""
    base = _base(arguments)
    decider = deciding.MachineDecider(folder=Path.cwd())
    device = decider.decision(request_of(base, Path.cwd())).accepted().target.device
    # The first of several numbers is that of the default.
    counts = {name: (getattr(arguments, name) or ())[1:] for name in COUNTS}
    tried = space.of_request(
        catalogue.framework(base["framework"]), base, device, counts, arguments.only
    )
    share = gpu_sharing.chosen(arguments, least=suites.LEAST_WAIT)
    with folder.only_session(sessions.SUITE):
        stages = Stages(base, decider, share, quiet=arguments.quiet, resume=arguments.resume)
        try:
            outcomes = search.search(
                tried,
                stages.measure,
                passes=arguments.repeat,
                by=arguments.by,
                everything=arguments.all,
            )
        except Interrupted:
            print("continue with the same command and --resume", file=sys.stderr)
            raise
    found = _found(base, device, outcomes, arguments.by)
    sound = _proven(found) if outcomes[-1].complete else None
    wrong = sound is not None and sound.holds is False
    if outcomes[-1].complete and not wrong:
        tuned.keep(found)
    if arguments.json:
        print(json.dumps(_document(outcomes, found, sound), indent=2))
    else:
        of_tuning.show(outcomes, found, sound, arguments.by)
    done = outcomes[-1].complete and not wrong
    return ExitStatus.OK if done else ExitStatus.BENCHMARK_FAILED


def _proven(found: tuned.Tuned) -> Soundness | None:
    """Say whether the options compute the same as the defaults, None if there are none."""
    if not found.options:
        return None
    view = ui.choose(result_on_stdout=False)
    try:
        with interruptible():
            return soundness.of(found, view)
    finally:
        view.close()


def _base(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that all tries have, as keys of a request."""
    framework = catalogue.framework(arguments.framework)
    told = {name: getattr(arguments, name) for name in _KEYS}
    base = {name: value for name, value in told.items() if value is not None}
    base["model"] = arguments.model
    base["framework"] = framework.name
    _, file = own_network.split(arguments.model)
    base["phase"] = arguments.phase or own_network.default_phase(
        framework, catalogue.default_phase(framework.name), file
    )
    for name in COUNTS:
        values = getattr(arguments, name)
        if values is not None:
            base[name] = values[0]
    if arguments.option:
        base["options"] = dict(arguments.option)
    return base


class Stages:
    """Carries out the stages of a search, each as a session of its own."""

    def __init__(
        self,
        base: dict[str, Any],
        decider: deciding.MachineDecider,
        share: Sharing,
        *,
        quiet: bool,
        resume: bool,
    ) -> None:
        self._base = base
        self._decider = decider
        self._share = share
        self._quiet = quiet
        self._resume = resume
        self._folders: dict[str, SessionFolder] = {}

    def measure(self, stage: str, changes: Sequence[Change], passes: int) -> Outcome:
        """Make the runs of a stage that are left. Raises MachineError, Interrupted."""
        loaded = sessions.suite_of(self._base, stage, changes, passes)
        plan = planning.plan(loaded, expansion.expand(loaded), self._decider)
        preflight.check(plan, home())
        if stage not in self._folders:
            where = sessions.newest_of(loaded) if self._resume else None
            self._folders[stage] = where or folder.create(loaded, datetime.now())
        where = self._folders[stage]
        with closing(SessionLines(where.log, quiet=self._quiet)) as view:
            job = suites.job_of(plan, self._decider, folder.read_facts(where), None)
            tools = suites.tools_of(plan, self._decider, view, self._share)
            try:
                suites.carry_out(where, job, tools, view)
            finally:
                suites.take_in(view)
        return sessions.outcome_of(where, changes, plan, resuming.read(where))


def _found(
    base: dict[str, Any], device: Device, outcomes: Sequence[Outcome], by: By
) -> tuned.Tuned:
    """Return the fastest settings, as they are kept."""
    last = outcomes[-1]
    best = last.best(by)
    ratio = best.ratio(last.default, by)
    counts = {name: best.change.get(name) for name in COUNTS}
    return tuned.Tuned(
        benchdock=VERSION,
        made=datetime.now(UTC),
        device=device,
        asked=request_of(base, Path.cwd()),
        options={
            **base.get("options", {}),
            **{name: str(value) for name, value in best.change.items() if name not in COUNTS},
        },
        **{name: value for name, value in counts.items() if value is not None},
        by=by,
        ratio=ratio.mean if ratio else 1.0,
        interval=ratio.interval if ratio else None,
        sessions=tuple(one.session for one in outcomes),
    )


def _document(
    outcomes: Sequence[Outcome], found: tuned.Tuned, sound: Soundness | None
) -> dict[str, Any]:
    return {
        "schema": 1,
        "complete": outcomes[-1].complete,
        "best": found.model_dump(mode="json", by_alias=True),
        "sound": None if sound is None else {"holds": sound.holds, "text": sound.text},
        "command": of_tuning.command_of(found),
        "stages": [one.as_json() for one in outcomes],
    }
