"""What a night writes for other programs is read by their own parsers, and a webhook is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import junitparser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.errors import RequestError
from orchestrator.nightly import webhook
from orchestrator.nights import junit, prometheus
from orchestrator.nights.record import NightJudgement
from tests.support.nights import night, run, series

SLOW = NightJudgement(
    verdict="regressed", value=95.0, baseline=100.0, change=-0.05, resolution=0.02,
    sentence="5.0 % slower than the last 6 nights",
)  # fmt: skip
NEW = NightJudgement(verdict="no data", sentence="no verdict: 1 night known, 3 are needed")
BAD = night(
    3,
    series("good-1"),
    series("slow-2", title="slow", judgement=SLOW),
    series("machine-3", judgement=SLOW, cause="machine"),
    series("failed-4", runs=(run(None, message='crashed: "<&>" \x1b[31m\x00'),)),
    series("new-5", judgement=NEW),
    series("muted-6", judgement=SLOW, muted="known"),
    problems=("the disk is full",),
    facts={"host": "box"},
)


def test_junit_has_a_case_per_series_with_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "night.xml").write_text(junit.text(BAD), "utf-8")
    found = junitparser.JUnitXml.fromfile(str(tmp_path / "night.xml"))
    suites = [found] if isinstance(found, junitparser.TestSuite) else list(found)
    (suite,) = suites
    assert (suite.name, suite.hostname, suite.timestamp) == (
        "nightly",
        "box",
        "1970-01-04T00:00:00",
    )
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (6, 2, 1, 2)
    kinds = {
        case.name.rpartition("[")[2][:-1]: [
            (type(one).__name__, one.message) for one in case.result
        ]
        for case in suite
    }
    assert kinds == {
        "good-1": [],
        "slow-2": [("Failure", "5.0 % slower than the last 6 nights")],
        "machine-3": [("Failure", "the machine: 5.0 % slower than the last 6 nights")],
        "failed-4": [
            ("Error", 'vgg16 pytorch: 5 of 5 runs failed or missing: crashed: "<&>" �[31m�')
        ],
        "new-5": [("Skipped", "no verdict: 1 night known, 3 are needed")],
        "muted-6": [("Skipped", "muted: known")],
    }
    slow = next(case for case in suite if "slow-2" in case.name)
    assert (slow.classname, slow.time) == ("nightly.cnn", 50.0)
    assert "baseline: 100.0 samples/s" in slow.system_out
    assert "<system-err>the disk is full</system-err>" in junit.text(BAD)


def test_prometheus_reads_the_metrics_and_there_are_no_timestamps() -> None:
    text = prometheus.text(BAD)
    assert text.endswith("\n")
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    assert {one.timestamp for one in samples} == {None}
    found = {(one.name, *sorted(one.labels.items())): one.value for one in samples}
    suite = ("suite", "nightly")
    assert found["benchdock_night_finished_timestamp_seconds", suite] == BAD.finished
    assert found["benchdock_night_status", suite] == 1
    assert found["benchdock_night_runs", ("status", "failed"), suite] == 1
    assert found["benchdock_night_runs", ("status", "completed"), suite] == 25
    assert found["benchdock_night_series", suite, ("verdict", "regressed")] == 3
    slow = [one for one in samples if one.labels.get("series") == "slow-2"]
    assert {one.name: one.value for one in slow} == {
        "benchdock_throughput": 95.0,
        "benchdock_throughput_baseline": 100.0,
        "benchdock_throughput_change_ratio": -0.05,
    }
    assert slow[0].labels["model"] == "vgg16"


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_text_breaks_a_file(key: str, title: str) -> None:
    one = night(1, series(key, title=title, model=title))
    junitparser.JUnitXml.fromstring(junit.text(one).partition("\n")[2])
    families = list(text_string_to_metric_families(prometheus.text(one)))
    labels = [sample.labels for family in families for sample in family.samples]
    assert [told["model"] for told in labels if "model" in told] == [title] * 3


@dataclass
class Server:
    """A server that answers with the next of its `answers`, and remembers what it was told."""

    answers: list[Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)
    told: list[dict[str, object]] = field(default_factory=list)
    url: str = ""


def status(code: int) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def hang(handler: BaseHTTPRequestHandler) -> None:
    for _ in range(20):
        handler.wfile.write(b"H")
        time.sleep(0.05)


@pytest.fixture
def server() -> Iterator[Server]:
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            served.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            served.answers.pop(0)(self)

        def log_message(self, *words: object) -> None:
            """Print nothing."""

    http = HTTPServer(("127.0.0.1", 0), Handler)
    http.handle_error = lambda *_: None  # type: ignore[method-assign]
    served.url = f"http://127.0.0.1:{http.server_port}/secret-token"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    yield served
    http.shutdown()
    thread.join()
    http.server_close()


def test_the_webhook_gets_a_document(server: Server) -> None:
    server.answers = [status(500), status(200)]
    waits: list[float] = []
    assert webhook.send(BAD, server.url, sleep=waits.append) is None
    assert (len(waits), server.told[0]) == (1, server.told[1])
    told = server.told[1]
    assert (told["schema"], told["event"], told["suite"], told["status"]) == (
        1,
        "night",
        "nightly",
        1,
    )
    assert "2 got slower" in str(told["subject"])
    assert len(json.dumps(told)) < 28_000


def test_slack_gets_its_text(server: Server) -> None:
    server.answers = [status(200)]
    assert webhook.send(BAD, server.url, "slack") is None
    (told,) = server.told
    assert list(told) == ["text"]
    assert str(told["text"]).startswith("*nightly: 5 of 6 series ran")
    assert "&lt;&amp;&gt;" in str(told["text"])


@pytest.mark.parametrize(
    ("answer", "said"),
    [(status(403), "it answered HTTP 403"), (hang, "it did not answer in time")],
)
def test_a_webhook_that_fails_is_tried_three_times_and_not_shown(
    server: Server, answer: Callable[[BaseHTTPRequestHandler], None], said: str
) -> None:
    server.answers = [answer] * 3
    why = webhook.send(BAD, server.url, sleep=lambda _: None, patience=0.1)
    assert why == f"the webhook was not told, after 3 tries: {said}"


def test_a_webhook_of_another_protocol_is_one_line(server: Server) -> None:
    server.answers = [lambda handler: handler.wfile.write(b"220 mail")] * 3  # type: ignore[list-item]
    why = webhook.send(BAD, server.url, sleep=lambda _: None)
    assert why is not None
    assert why.endswith("it does not speak HTTP")


def test_a_webhook_that_is_not_there_is_one_line() -> None:
    why = webhook.send(BAD, "http://127.0.0.1:1/secret-token", sleep=lambda _: None)
    assert why is not None
    assert why.endswith("it cannot be reached: Connection refused")


def test_the_url_is_in_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert webhook.url(None) is None
    monkeypatch.setenv(webhook.VARIABLE, "https://host/a")
    assert webhook.url(None) == "https://host/a"
    (tmp_path / "url").write_text("https://host/b\n")
    assert webhook.url(tmp_path / "url") == "https://host/b"


@pytest.mark.parametrize("told", ["", "secret", "file:///etc/passwd", "https://[secret", "http://"])
def test_what_is_not_a_url_is_refused_without_showing_it(tmp_path: Path, told: str) -> None:
    (tmp_path / "url").write_text(told)
    with pytest.raises(RequestError) as refused:
        webhook.url(tmp_path / "url")
    assert "secret" not in str(refused.value).replace(str(tmp_path), "")
