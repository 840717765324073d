"""Sends a night to a URL. Whatever comes of it, the night's exit status stays what it is."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from orchestrator.errors import RequestError
from orchestrator.nights import telling
from orchestrator.nights.record import Night
from orchestrator.record_files import read_given
from orchestrator.version import VERSION

VARIABLE = "BENCHDOCK_WEBHOOK"
TRIES = 3
PATIENCE = 10.0  # seconds for one try
_LARGEST_URL = 8192
_SLACK = "hooks.slack.com"
Kind = Literal["json", "slack"]


class _FailedError(Exception):
    """A try failed; the text does not contain the URL, which is a secret."""


def url(file: Path | None) -> str | None:
    """Return the URL of a file or of the environment, None if there is neither.

    Raises RequestError that does not show it.
    """
    told = os.environ.get(VARIABLE)
    where = VARIABLE
    if file is not None:
        where = str(file)
        told = read_given(file, _LARGEST_URL).decode("utf-8", "replace")
    told = (told or "").strip()
    if not told:
        if file is not None:
            raise RequestError(f"{file} is empty", hint="write the URL into it")
        return None
    try:
        parts = urlsplit(told)
        known = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        known = False
    if not known or not told.isprintable() or " " in told:
        raise RequestError(
            f"{where} does not contain a URL of the web", hint="write https://HOST/PATH into it"
        )
    return told


def send(
    night: Night,
    to: str,
    kind: Kind | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
    patience: float = PATIENCE,
) -> str | None:
    """Send a night; return why that failed, None if it did not.

    `kind` is guessed from the URL. `patience` is how many seconds one try may take.
    """
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

    kind = kind or ("slack" if urlsplit(to).hostname == _SLACK else "json")
    body = json.dumps(slack(night) if kind == "slack" else document(night)).encode()
    attempts = Retrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_exponential(multiplier=1, max=10),
        retry=retry_if_exception_type(_FailedError),
        reraise=True,
        sleep=sleep,
    )
    try:
        attempts(_post_in_time, to, body, patience)
    except _FailedError as error:
        return f"the webhook was not told, after {TRIES} tries: {error}"
    return None


def document(night: Night) -> dict[str, Any]:
    """Return a night for a program: what is good is left out."""
    return {
        "schema": 1,
        "event": "night",
        "suite": night.suite,
        "night": str(night.night),
        "session": night.session,
        "host": night.facts.get("host"),
        "status": int(telling.exit_status(night)),
        "subject": telling.subject(night),
        "lines": telling.lines(night),
        "series": [
            {
                "series": one.key,
                "title": one.title,
                "verdict": one.judgement.verdict,
                "cause": one.cause,
                "value": one.judgement.value,
                "baseline": one.judgement.baseline,
                "change": one.judgement.change,
            }
            for one in telling.news(night)[:50]
        ],
    }


def slack(night: Night) -> dict[str, str]:
    """Return a night for Slack, and for what understands its messages."""
    first, *rest = telling.lines(night)
    text = "\n".join((f"*{_escaped(first)}*", *map(_escaped, rest)))
    return {"text": text}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _post_in_time(to: str, body: bytes, patience: float) -> None:
    """Post it; give up after some seconds even if the other side sends a byte now and then."""
    failed: list[str] = ["it did not answer in time"]

    def work() -> None:
        failed[0] = _post(to, body, patience)

    thread = threading.Thread(target=work, name="webhook", daemon=True)
    thread.start()
    thread.join(patience)
    if failed[0]:
        raise _FailedError(failed[0])


def _post(to: str, body: bytes, patience: float) -> str:
    """Return why it failed, "" if it did not. No text of an exception: it may have the URL."""
    headers = {"Content-Type": "application/json", "User-Agent": f"benchdock/{VERSION}"}
    request = urllib.request.Request(to, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=patience):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"it answered HTTP {error.code}"
    except TimeoutError:
        return "it did not answer in time"
    except HTTPException:
        return "it does not speak HTTP"
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        name = getattr(reason, "strerror", None) or type(reason).__name__
        return f"it cannot be reached: {name}"
