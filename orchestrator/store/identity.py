"""Which runs belong together: a series is what was requested, decided, and the place it ran.

Image digest, driver, versions, host name, paths and the number of repeats are not part of either:
they are what changed when a series gets slower. Runs with the same `what` in another place compare
two machines.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from typing import Any

from orchestrator.plan import Plan
from orchestrator.request import Request

# In front of what is hashed: another choice of fields is another tag, so old and new never mix.
_WHAT = "benchdock what 1"
_ASKED = "benchdock asked 1"
_PLACE = "benchdock place 1"
_DIGITS = 32  # 128 bits

# What a person may request that changes how fast a program is. Not `seed`, timeouts, `as_root`.
_ASKED_FOR = (
    *("image", "options", "env", "prefix", "network", "threads", "memory", "pids", "shm_size"),
    *("command", "pattern", "unit", "estimator"),
)


def what(request: Request, plan: Plan) -> str:
    """Return the digest of a decided request, 32 hexadecimal digits."""
    return _digest(_WHAT, decided(request, plan))


def what_by_counts(request: Request, plan: Plan) -> Callable[[int, int, int], str]:
    """Return what gives `what` of runs with other batches, steps and warm-up steps.

    For plans of very many: it takes a tenth of the time.
    """
    hole = secrets.token_hex(16)  # no text of a request has it
    holes = dict.fromkeys(("batch", "steps", "warmup"), hole)  # in the order of JSON's keys
    text = _text(_WHAT, {**decided(request, plan), **holes})
    before, between, last, after = text.split(f'"{hole}"')
    return lambda batch, steps, warmup: _hashed(
        f"{before}{batch}{between}{steps}{last}{warmup}{after}"
    )


def decided(request: Request, plan: Plan) -> dict[str, Any]:
    """Return the fields whose digest `what` is, as plain values.

    `fingerprint` is that of the zoo's network or of the user's file. `data` is the name of the
    data's folder; what it holds is identified apart.
    """
    asked = without_values(request.model_dump(mode="json", include=set(_ASKED_FOR)))
    return {
        "model": plan.model,
        "fingerprint": plan.fingerprint,
        "framework": plan.framework,
        "program": plan.program,
        "phase": plan.phase,
        "dtype": plan.dtype,
        "batch": plan.batch,
        "device": plan.device,
        "devices": plan.device_count,
        "steps": plan.steps,
        "warmup": plan.warmup,
        "data": request.data.name if request.data is not None else None,
        "runtime": plan.runtime,
        **asked,
        **_data(plan),
        **({} if request.measure is None else {"measure": request.measure}),
        **_own_python(plan),
    }


def without_values(told: dict[str, Any]) -> dict[str, Any]:
    """Return a request with digests in place of the values of variables, which may be secrets."""
    env = {
        name: hashlib.sha256(value.encode()).hexdigest()[:16] for name, value in told["env"].items()
    }
    return {**told, "env": env}


def undecided(told: dict[str, Any]) -> str:
    """Return the digest of a run that was never planned, of what is known of it as plain values."""
    return _digest(_ASKED, told)


def _data(plan: Plan) -> dict[str, Any]:
    """Return what identifies the data; nothing for results from before that was recorded."""
    return {} if plan.data is None else {"data_digest": plan.data.digest}


def _own_python(plan: Plan) -> dict[str, Any]:
    """Return the path of the user's Python; nothing if there is none.

    Without one, the digest is what it was before there was that choice. What is installed in it
    does not count, as with the contents of an image.
    """
    return {} if plan.interpreter is None else {"python": str(plan.interpreter.path)}


def place(
    machine: str, *, gpus: tuple[str, ...] = (), cpu: str | None = None, cpus: str | None = None
) -> str:
    """Return the digest of a place, 32 hexadecimal digits.

    `machine` identifies the machine. A GPU run is on `gpus`, UUIDs in order; any other is on the
    CPUs `cpus`, such as "0-3,8", of the model `cpu`.
    """
    where: dict[str, Any] = {"gpus": list(gpus)} if gpus else {"cpu": cpu, "cpus": cpus}
    return _digest(_PLACE, {"machine": machine, **where})


def _digest(tag: str, told: dict[str, Any]) -> str:
    return _hashed(_text(tag, told))


def _text(tag: str, told: dict[str, Any]) -> str:
    return json.dumps([tag, told], sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
