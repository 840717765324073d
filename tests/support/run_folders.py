"""Folders of runs that nobody ran, for tests of what is read of them."""

from __future__ import annotations

import json

from orchestrator.paths import RunFolder, runs
from orchestrator.result import Metric, Result
from orchestrator.run.filing import to_json
from tests.fakes import plan
from tests.support import stand_in


def result(name, *, planned=None, asked=None, **changes):
    """Return a good result; `planned` and `asked` change its plan and request."""
    request = stand_in.request(**asked or {})
    usual = {
        "benchdock": "0.1.0",
        "run": name,
        "status": "ok",
        "request": request,
        "plan": plan(**{"model": request.model, "batch": 2, **(planned or {})}),
        "metrics": {"throughput": Metric(value=1234.56, unit="samples/s")},
    }
    return Result(**usual | changes)


def stored(name, *, planned=None, root=None, **changes):
    """File the result of a run under a name."""
    return filed(name, to_json(result(name, planned=planned, **changes)), root=root)


def filed(name, text=None, request=None, root=None):
    """Make a run's folder with these texts, None for no file."""
    folder = RunFolder((root or runs()) / name)
    folder.root.mkdir(parents=True)
    if text is not None:
        folder.result.write_text(text)
    if request is not None:
        folder.request.write_text(to_json(request))
    return folder


def in_session(folder, **told):
    """Leave the note of a session in a run's folder."""
    usual = {"name": "nightly-1", "suite": "nightly", "digest": "ab", "pass": 1, "night": None}
    folder.session.write_text(json.dumps(usual | told))
    return folder
