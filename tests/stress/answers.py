"""An engine that answers wrongly, each question in each way: every run ends typed and filed."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import ExitStatus
from orchestrator.runtimes.docker import client, execution
from tests.fakes import Answer, FakeContainer, FakeEngine, fake_image
from tests.stress.arguments import status_of

IMAGE = "tiny:1"
RUN = (
    "run", "mine", "-f", "custom", f"--image={IMAGE}", "--runtime=docker", "--gpus=none",
    "--command=echo 1", "--pattern=(.)", "--timeout=5",
)  # fmt: skip
QUESTIONS = {
    "ping": "GET /_ping",
    "info": "GET /info",
    "list": "GET /containers/json",
    "image": "GET /images/",
    "create": "POST /containers/create",
    "start": "POST .*/start",
    "inspect": "GET /containers/[^/]+/json",
    "wait": "POST .*/wait",
    "logs": "GET .*/logs",
    "remove": "DELETE /containers/",
}
FORMS: dict[str, Answer] = {
    "refused": Answer(500, {"message": "no"}),
    "gone": Answer(404, {"message": "No such thing"}),
    "a list": Answer(body=[]),
    "a list of texts": Answer(body=["x"]),
    "a text": Answer(body="x"),
    "a number": Answer(body=7),
    "null": Answer(body=None),
    "an empty object": Answer(body={}),
    "null members": Answer(
        body={"Id": None, "State": None, "Warnings": None, "HostConfig": None, "Config": None}
    ),
    "wrong members": Answer(
        body={"Id": 7, "State": [], "Warnings": 7, "HostConfig": "x", "Config": [], "Size": "x"}
    ),
    "a state without sense": Answer(
        body={"State": {"Running": "no", "ExitCode": "x"}, "HostConfig": {}, "Config": {}}
    ),
    "too deep": Answer(raw=b"[" * 100_000),
    "no JSON": Answer(raw=b"\xff\xfe<html>"),
    "cut short": Answer(raw=b'{"Id": "x', promised=100),
    "broken off": Answer(broken=True),
}


def _carry_out(container: FakeContainer) -> None:
    """Do what the launcher would, and end."""
    with container.log.open("a", encoding="ascii") as log:
        log.write("1\n")
    container.end(0)


def cases() -> Iterator[tuple[str, str]]:
    """Yield each question with each form of answer."""
    for question in QUESTIONS:
        for form in FORMS:
            yield question, form


def outcome(question: str = "", form: str = "", *, patience: float = 0.3) -> int:
    """Run against an engine that answers one question wrongly, always; return the exit status.

    Raises AssertionError if that is a bug, or a run has no result.
    """
    # A socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="benchdock-"))
    try:
        with pytest.MonkeyPatch.context() as patch, FakeEngine(folder) as engine:
            patch.setenv("BENCHDOCK_HOME", str(folder / "home"))
            patch.setenv("DOCKER_HOST", engine.address)
            patch.setitem(
                vars(client.Engine)["connect"].__func__.__kwdefaults__, "patience", patience
            )
            patch.setattr(execution, "LEAVING_PATIENCE", patience)
            patch.setattr("orchestrator.machine.monitor.Monitor._before", lambda _: None)
            image = fake_image(IMAGE)
            engine.images |= {IMAGE: image, image["Id"]: image}
            engine.on_start = _carry_out
            if question:
                engine.always[QUESTIONS[question]] = FORMS[form]
            status = status_of(list(RUN))
        assert status in (0, 1, 2, 3), f"{question}, {form}: exit status {status}"
        # A request after the program has ended does not cost the measurement.
        assert status == ExitStatus.OK or question not in ("", "logs", "remove"), (
            f"{question} {form}"
        )
        for run in (folder / "home" / "runs").glob("*"):
            result = json.loads((run / "result.json").read_text())
            assert (result["status"] == "ok") is (status == ExitStatus.OK), f"{question}, {form}"
        return status
    finally:
        shutil.rmtree(folder)


def attack() -> Counter[int]:
    """Try a right answer and all wrong ones; return how often each status came."""
    outcome()
    return Counter(outcome(question, form) for question, form in cases())
