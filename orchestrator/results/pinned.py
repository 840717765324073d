"""What a stored result asks for when it is run again, and what of it needs trust."""

from __future__ import annotations

import shlex
from typing import Any

from pydantic import ValidationError

from orchestrator.errors import RequestError
from orchestrator.frameworks import catalogue
from orchestrator.plan import Plan
from orchestrator.record_files import first_mistake
from orchestrator.request import Request, RuntimeChoice
from orchestrator.results.lookup import Stored
from orchestrator.run import trust
from orchestrator.run.command_line import placeholders


def asks_of(stored: Stored) -> tuple[str, ...]:
    """Return what a foreign result would do here that needs trust; nothing for own runs.

    Raises RequestError for a result that cannot be run.
    """
    request, plan = pinned(stored)
    if stored.is_own:
        return ()
    return trust.asks(request, image=plan.image, digest=plan.image_digest)


def refuse_untrusted(stored: Stored, word: str) -> None:
    """Raise RequestError for what was not trusted; `word` is how the user named the result."""
    if found := asks_of(stored):
        raise trust.refusal(
            stored.name, found, see=f"benchdock replay {shlex.quote(word)} --dry-run"
        )


def pinned(stored: Stored) -> tuple[Request, Plan]:
    """Return the request with what benchdock chose at that time, and the resulting plan."""
    asked, plan = stored.result.request, stored.result.plan
    if asked is None or plan is None:
        raise RequestError(
            f"{stored.name} cannot be run again: it has no request or no plan",
            hint="use a result of `benchdock run`",
        )
    if asked.model_file is not None:
        catalogue.checked_name(asked.model)
    threads = stored.result.program.threads
    counts = ("batch", "steps", "warmup")
    used = counts if asked.command is None else placeholders(asked.command).intersection(counts)
    chosen: dict[str, Any] = {
        **{name: getattr(plan, name) for name in used},
        "runtime": RuntimeChoice(plan.runtime),
        "threads": asked.threads or (threads if isinstance(threads, int) else None),
    }
    if plan.interpreter is not None:  # a relative path belongs to the folder of the original run
        chosen["python"] = plan.interpreter.path
    if plan.device == "cpu":
        chosen["gpus"] = "none"
    elif asked.gpus in (None, "all"):
        chosen["gpus"] = tuple(range(plan.device_count))
    try:
        return Request.model_validate({**asked.model_dump(by_alias=True), **chosen}), plan
    except ValidationError as error:
        raise RequestError(f"{stored.name} cannot be run again: {first_mistake(error)}") from None
