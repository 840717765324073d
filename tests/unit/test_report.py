"""`benchdock report`: what it says of a night, on pages, in Markdown and on a terminal."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import os
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from random import Random
from urllib.parse import unquote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator import compressed
from orchestrator.cli import main
from orchestrator.demo.nights import nights
from orchestrator.nights import decisions, files, judge
from orchestrator.nights.record import (
    NightAdvice,
    NightAttribution,
    NightChange,
    NightJudgement,
)
from orchestrator.paths import RunFolder, runs, slug
from orchestrator.report import (
    findings,
    markdown,
    panels,
    run_folders,
    run_page,
    site,
    timeline,
)
from orchestrator.report.series_chart import series_chart, sparkline
from orchestrator.report.status import STATUSES, kind
from orchestrator.report.window import Point, window
from tests.support import demo
from tests.support.nights import decision, night, run, series
from tests.support.run_folders import stored

GOLDEN = Path(__file__).parents[1] / "golden"
VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, {name: value or "" for name, value in attributes}))

    def handle_data(self, text):
        self.words.append(text)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory):
    return demo.make(tmp_path_factory.mktemp("demo") / "new")


@pytest.fixture
def demo_home(demo_folder, monkeypatch):
    monkeypatch.setenv("BENCHDOCK_HOME", str(demo_folder / "home"))
    return demo_folder


def judged(verdict="ok", change=0.0, **more):
    told = {"value": 100.0 * (1 + change), "baseline": 100.0, "change": change, "limit": 0.02}
    noises = {"resolution": 0.02, "run_noise": 0.01, "night_noise": 0.003, "nights": 30}
    return NightJudgement(verdict=verdict, **{**told, **noises, **more})


SLOWER = series(
    "vgg16-pytorch-training-11111111",
    title="vgg16 training pytorch",
    judgement=judged(
        "regressed",
        -0.034,
        sentence="3.4 % slower than the last 30 nights, confirmed by 15 more runs",
        extra=(96.6,) * 15,
    ),
    cause="framework",
    changed=(NightChange(label="driver", before="570.1", after="575.2"),),
    attribution=NightAttribution(before="a", after="b", pairs=10, change=-0.031, explained=True),
)
BROKEN = series(
    "alexnet-mxnet-training-22222222",
    title="alexnet training mxnet",
    framework="mxnet",
    runs=(run(None, message="out of memory"),) * 5,
    judgement=NightJudgement(verdict="no data", sentence="no verdict: no run worked"),
)
FASTER = series(
    "resnet50-tensorflow-inference-33333333",
    title="resnet50 inference tensorflow",
    framework="tensorflow",
    judgement=judged("improved", 0.051, sentence="5.1 % faster, confirmed by 5 more runs"),
)
QUIET = series("googlenet-pytorch-training-44444444", title="googlenet training pytorch")
PARTLY = series(
    "vgg19-pytorch-training-66666666",
    title="vgg19 training pytorch",
    runs=(*(run(100.0),) * 4, run(None, message="the container was killed")),
)
CONTROL = series(
    "alexnet-pytorch-training-55555555",
    title="control",
    control=True,
    judgement=judged(sentence="within the limit"),
)
EVERY = (QUIET, FASTER, BROKEN, SLOWER, PARTLY, CONTROL)


def mixed(number=3, **changes):
    advice = (NightAdvice(subject="the 2 series of pytorch", since="2026-10-20", step=-0.01, t=-7),)
    return night(
        number, *EVERY, **{"advice": advice, "problems": ("2 runs are missing",), **changes}
    )


def store(*nights):
    for one in nights:
        files.write(one)


def report(*words):
    return main(["report", *words])


# What the demo shows


def test_the_demo_is_the_same_each_time():
    one, other = (list(nights(6, 5, seed)) for seed in (3, 3))
    assert one == other
    assert one != list(nights(6, 5, 4))


@pytest.mark.slow
def test_the_demo_has_what_it_says(demo_home):
    known = {one.number: one for one in files.newest("demo")}
    last = known[demo.NIGHTS]
    lost = [one for one in last.series if kind(one) == "regressed"]
    assert len(lost) == 1
    assert -0.04 < lost[0].judgement.change < -0.02
    assert [change.label for change in lost[0].changed] == ["image", "framework"]
    assert any("tensorflow" in one.subject and one.step < 0 for one in last.advice)
    fault = known[demo.NIGHTS - 64]
    assert fault.uncounted
    assert all(
        one.cause == "machine" for one in fault.series if one.judgement.verdict == "regressed"
    )
    assert all(one.judgement.verdict == "regressed" for one in fault.series if one.control)
    before, after = (known[demo.NIGHTS - 40 + step].facts["driver"] for step in (0, 1))
    assert before != after


@pytest.mark.slow
def test_the_first_page_says_first_what_is_bad(demo_home):
    first = page(demo_home / "report/index.html")
    text = first.text
    last = next(files.newest("demo"))
    lost = next(one for one in last.series if kind(one) == "regressed")
    order = [
        text.index("got slower"),
        text.index(lost.judgement.sentence),
        text.index(f"benchdock accept {lost.key}"),
        text.index("Over weeks"),
        text.index("All series"),
    ]
    assert order == sorted(order)
    rows = [one for one in first.all("th") if one.get("scope") == "row"]
    assert len(rows) == demo.SERIES
    assert first.all("title")


@pytest.mark.slow
def test_every_address_of_the_site_exists(demo_home):
    root = demo_home / "report"
    checked = 0
    for path in root.rglob("*.html"):
        for attributes in page(path).all("a"):
            address = attributes["href"]
            assert not address.startswith(("http:", "https:", "//", "javascript:"))
            if address.startswith("#"):
                assert address == "#main"
                continue
            target = unquote(address.removeprefix("file://"))
            assert (path.parent / target).exists(), (path, address)
            checked += 1
    assert checked > 50


@pytest.mark.slow
def test_every_page_allows_only_its_own_scripts(demo_home):
    for path in (demo_home / "report").rglob("*.html"):
        found = page(path)
        policy = next(one["content"] for one in found.all("meta") if "http-equiv" in one)
        assert policy.startswith("default-src 'none'")
        assert "unsafe-inline" not in policy.partition("script-src")[2]
        for script in found.all("script"):
            assert (path.parent / script["src"]).is_file()


@pytest.mark.slow
def test_a_single_file_has_all_pages_and_the_digests_of_its_scripts(demo_home, tmp_path):
    assert report("--single-file", "-o", "one.html") == 0
    text = Path("one.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    assert digests
    policy = html.unescape(text[: text.index("</head>")])
    assert all(f"'sha256-{digest}'" in policy for digest in digests)
    found = Page(re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL))
    anchors = {one["id"] for _, one in found.tags if "id" in one}
    inside = {one["href"][1:] for one in found.all("a") if one["href"].startswith("#")}
    assert inside <= anchors
    assert len([one for one in found.all("section") if one["class"] == "page"]) > demo.SERIES


@pytest.mark.slow
def test_a_run_page_shows_steps_monitor_and_log(demo_home):
    path = next((demo_home / "report/run").iterdir())
    text = page(path).text
    for words in ("time of a step (ms)", "gpu0 temperature", "simulated by", "Environment"):
        assert words in text
    told = json.loads(next(one["data-panels"] for one in page(path).all("figure")))
    assert {"title", "unit", "x", "y"} == set(told[0])


@pytest.mark.slow
def test_the_comparison_has_numbers_in_its_cells(demo_home):
    text = page(demo_home / "report/compare.html").text
    assert "100 %" in text
    for words in (
        "Latency and energy",
        "Efficiency",
        "Speed-up",
        "energy per sample",
        "share of the ceiling",
    ):
        assert words in text


@pytest.mark.slow
def test_the_page_of_the_machine_shows_controls_heat_failures_and_times(demo_home):
    found = page(demo_home / "report/machine.html")
    for words in ("Controls", "hottest", "out of memory on the device", "thermal", "What ran when"):
        assert words in found.text
    assert "driver 570.124.06" in found.text


@pytest.mark.slow
def test_another_night_can_be_chosen(demo_home, capsys):
    assert report("--night", "2026-01-26") == 0
    said = capsys.readouterr().out
    assert "night of 2026-01-26" in said
    assert "slower with the machine" in said


@pytest.mark.slow
def test_all_gives_each_run_of_the_night_a_page(demo_home, tmp_path):
    assert report("--all", "-o", "all") == 0
    last = next(files.newest("demo"))
    count = sum(len(one.runs) for one in last.series)
    assert len(list(Path("all/run").iterdir())) == count


@pytest.mark.slow
def test_a_report_is_replaced_and_the_large_script_is_not_copied_again(demo_home, tmp_path):
    assert report("-o", "site") == 0
    large = Path("site/plotly.min.js")
    os.utime(large, (1, 1))
    assert report("-o", "site") == 0
    assert large.stat().st_mtime == 1
    assert not list(Path("site").rglob(".*"))


@pytest.mark.slow
def test_without_plotly_the_report_says_what_to_install(demo_home, monkeypatch, capsys):
    monkeypatch.setattr(site, "find_spec", lambda name: None)
    assert report("-o", "plain") == 0
    assert "pip install 'benchdock[report]'" in capsys.readouterr().err
    assert "pip install" in page(Path("plain/index.html")).text
    assert not Path("plain/plotly.min.js").exists()


# A night made by hand


def test_markdown_of_a_night():
    store(night(1), night(2), mixed())
    assert markdown.markdown(mixed(), every=True) == golden("report.md", mixed_markdown())


def mixed_markdown():
    return markdown.markdown(mixed(), every=True)


def golden(name: str, said: str) -> str:
    path = GOLDEN / name
    if os.environ.get("BENCHDOCK_UPDATE_GOLDEN"):
        path.write_text(said, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def test_a_night_on_the_terminal(capsys):
    store(night(1), night(2), mixed())
    assert report("--all") == 0
    said = capsys.readouterr().out
    assert said == golden("report.txt", said)


def test_markdown_goes_to_a_file_too(capsys):
    store(mixed())
    assert report("--markdown", "-o", "night.md") == 0
    assert Path("night.md").read_text() == markdown.markdown(mixed(), every=False)


def test_a_quiet_night_shows_one_sentence_and_the_rows(tmp_path):
    store(night(1, QUIET, CONTROL))
    assert report("-o", "site") == 0
    text = page(Path("site/index.html")).text
    for words in ("Confirmed", "Over weeks", "Failed runs", "Muted", "accept"):
        assert words not in text
    assert "2 of 2 series ran; the machine is as before." in text


def test_a_muted_series_is_not_told_of_but_named():
    muted = SLOWER.model_copy(update={"muted": "known bug"})
    told = night(1, muted, QUIET)
    assert findings.notable(told) == []
    store(told)
    assert report("-o", "site") == 0
    assert "known bug" in page(Path("site/index.html")).text


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"runs": (), "judgement": NightJudgement(verdict="no data")}, "missing"),
        ({"runs": (run(None),), "judgement": NightJudgement(verdict="no data")}, "failed"),
        (
            {"runs": (run(1.0, trust="invalid"),), "judgement": NightJudgement(verdict="no data")},
            "invalid",
        ),
        ({"judgement": NightJudgement(verdict="no data")}, "no data"),
        ({"judgement": judged("regressed", -0.03), "cause": "machine"}, "machine"),
        ({"judgement": judged("regressed", -0.03), "cause": "framework"}, "regressed"),
        ({"judgement": judged("ambiguous", -0.01)}, "ambiguous"),
    ],
)
def test_a_series_has_one_status(changes, word):
    assert kind(series(**changes)) == word


def test_statuses_differ_in_more_than_their_colour():
    symbols = [one.symbol for one in STATUSES.values()]
    assert len(set(symbols)) == len(symbols)


def test_marks_are_what_changed_and_what_was_accepted():
    facts = ({"driver": "1"}, {"driver": "1"}, {"driver": "2"})
    known = [night(n + 1, QUIET, facts=told) for n, told in enumerate(facts)]
    accepted = decision(2, QUIET.key)
    shown = window(reversed(known), [accepted, decision(3, "another")])
    told = [(one.index, one.label, one.before, one.after) for one in shown.marks(QUIET.key)]
    assert told == [(1, "accepted", "", "ada: new driver"), (2, "driver", "1", "2")]


def test_a_series_that_was_not_there_has_gaps():
    shown = window(reversed([night(1, FASTER), night(2, QUIET), night(3, FASTER), night(4, QUIET)]))
    assert [point is None for point in shown.of(QUIET.key)] == [True, False, True, False]
    assert shown.since(QUIET.key) == 1


def test_a_young_series_starts_with_its_first_night():
    store(night(1, FASTER), night(2, QUIET), night(3, FASTER), night(4, QUIET))
    assert report("-o", "site") == 0
    text = Path(f"site/series/{QUIET.key}.html").read_text("utf-8")
    rows = re.findall(r"<tr><td>(\d\d)<td>([^<]*)<td>[^<]*<td>([^<\n]*)", text)
    assert rows == [("04", "100", "ok"), ("03", "", "not run"), ("02", "100", "ok")]


def test_a_night_without_a_verdict_has_a_place():
    young = series(judgement=NightJudgement(verdict="no data"), runs=(run(99.0), run(101.0)))
    shown = window([night(1, young)])
    assert shown.of(young.key)[0].value == 100.0
    assert shown.of(young.key)[0].kind == "no data"


def test_the_host_name_is_shown_if_it_is_known(capsys):
    store(night(1, QUIET, facts={"host": "gpu-server"}))
    assert report("-o", "site") == report() == 0
    assert "nightly on gpu-server" in capsys.readouterr().out
    assert "nightly on gpu-server" in page(Path("site/index.html")).text


@pytest.mark.slow
def test_the_interval_covers_the_change():
    """95 of 100 intervals contain the true change, if the noise is what was assumed."""
    random = Random(5)
    inside = 0
    for _ in range(100):
        level, history = 0.0, []
        for _ in range(30):
            at = level + random.gauss(0, 0.004)
            runs = [math.exp(at + random.gauss(0, 0.01)) for _ in range(5)]
            history.append({"runs": runs, "verdict": "ok", "accepted": False})
        at = level + random.gauss(0, 0.004)
        tonight = [math.exp(at + random.gauss(0, 0.01)) for _ in range(5)]
        found = judge(history, tonight, lambda count: [])
        told = NightJudgement(**{**found.__dict__, "sentence": ""})
        low, high = (
            float(end.replace(findings.MINUS, "-").removesuffix(" %"))
            for end in findings.interval(told, 5).split(" to ")
        )
        inside += low - 0.05 <= 0 <= high + 0.05
    assert 90 <= inside <= 99


# What results say is shown, and does nothing


HOSTILE = (
    '"><script>alert(1)</script>',
    "<img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title></style></svg><b>bold</b>",
    "{{ 7*7 }}{% raw %}",
    "\x1b[31mred\x07\u202eturned",
    "]]>--><!--",
)
DANGEROUS = {"script", "img", "b", "iframe", "object", "embed", "form", "base"}


def hostile():
    """Return a night with a series and a control for each hostile text, and one text elsewhere."""
    members = [one for text in HOSTILE for one in _hostile_series(text)]
    every = "".join(HOSTILE)
    advice = NightAdvice(subject=every, since="2026-10-20", step=-0.01, t=-7)
    told = {"machine": every, "session": every, "facts": {every: every}, "problems": (every,)}
    return night(2, *members, **told, advice=(advice,), uncounted=every)


def _hostile_series(text):
    yield series(
        f"key {text}",
        title=text,
        group=text,
        framework=text,
        facts={text: text, "image": text},
        changed=(NightChange(label=text, before=text, after=text),),
        runs=(run(90.0, result=text, message=text), run(None, result=f"../{text}", message=text)),
        judgement=judged("regressed", -0.1, sentence=text),
        cause="framework",
    )
    yield series(f"control {text}", title=text, control=True, muted=text)


@pytest.mark.slow
def test_nothing_of_a_result_becomes_a_tag(monkeypatch):
    monkeypatch.setattr(site, "find_spec", lambda name: None)
    store(night(1, QUIET), hostile())
    assert report("-o", "site") == 0
    assert report("--single-file", "-o", "one.html") == 0
    pages = [*Path("site").rglob("*.html")]
    assert len(pages) == 3 + 2 * len(HOSTILE)
    for path in (*pages, Path("one.html")):
        whole = re.sub(r"<script>.*?</script>", "", path.read_text("utf-8"), flags=re.DOTALL)
        _check_harmless(path, Page(whole))
    assert "{{ 7*7 }}" in Path("site/index.html").read_text("utf-8")


def _check_harmless(path, found):
    for tag, attributes in found.tags:
        assert (
            tag not in DANGEROUS
            or (tag == "script" and "report.js" in attributes["src"])
            or (tag == "b" and set(attributes) <= {"class"})
        ), (path, tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], (path, tag, attributes)
        assert not attributes.get("href", "").lower().startswith(("javascript:", "data:"))
    assert "<b>bold" not in path.read_text("utf-8")
    assert "\u202e" not in found.text
    assert "\x1b" not in found.text


def test_a_hostile_log_and_result_are_shown_as_text():
    store(night(1, SLOWER.model_copy(update={"runs": (run(90.0, result="a-run"),)})))
    folder = RunFolder(runs() / "a-run")
    folder.make()
    text = HOSTILE[0]
    folder.log.write_text(f"{text}\n{HOSTILE[5]}\n", encoding="utf-8")
    failure = {"kind": "crashed", "message": text, "evidence": text}
    told = {"schema": 1, "benchdock": text, "run": text, "status": "failed", "failure": failure}
    told |= {"warnings": [text], "environment": {"hostname": text, "kernel": text}}
    told |= {"steps": [{"first": 0, "seconds": [0.1, 0.2], "samples": 1}]}
    folder.result.write_text(json.dumps(told), encoding="utf-8")
    lines = [{"t": 1.0, "stage": "timing", "gpu<b>": {"power": 3}, "cpu": 0.5}, {"t": "x"}, 3]
    folder.monitor.write_text("\n".join(map(json.dumps, lines)) + "\n{torn", encoding="utf-8")
    assert report("-o", "site") == 0
    found = page(Path("site/run/a-run.html"))
    _check_harmless(Path("site/run/a-run.html"), found)
    assert "alert(1)" in found.text


def test_the_run_of_an_old_night_shows_its_samples_in_order_and_its_log():
    folder = stored("a-run")
    folder.log.write_text("the last line")
    lines = [{"t": t, "cpu": t / 10, "gpu0": {"power": t}} for t in (1.0, 5.0, 2.0, 3.0)]
    folder.monitor.write_text("\n".join(map(json.dumps, lines)))
    for path in (folder.log, folder.monitor):
        compressed.compress(path)
    told = run_page.context(folder)
    (power,) = [one for one in json.loads(told["panels"]) if one["title"] == "gpu0 power"]
    assert power["x"] == [1.0, 2.0, 3.0, 5.0]
    assert (told["log"], told["log_address"][-7:]) == (["the last line"], ".txt.gz")


def test_a_damaged_result_costs_only_its_numbers():
    store(night(1, SLOWER.model_copy(update={"runs": (run(90.0, result="a-run"),)})))
    folder = RunFolder(runs() / "a-run")
    folder.make()
    folder.result.write_text("{")
    folder.log.write_text("the last line")
    assert report("-o", "site") == 0
    text = page(Path("site/run/a-run.html")).text
    assert "result.json" in text
    assert "the last line" in text


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", "", "a\0b", "a/b"])
def test_a_run_outside_of_the_folder_of_runs_is_not_read(name):
    assert run_folders.found(name) is None


@pytest.mark.slow
@given(st.text())
@example("- - item")
@example("1. one")
@example("[a](b)")
@example("![a](b) <b> |x| @team https://x")
def test_text_in_markdown_is_only_text(told):
    said = markdown.text(told)
    assert not re.search(r"(?<!\\)[`*_\[\]<>|~]", said)
    assert "@\u2060" in said or "@" not in said
    assert not re.match(r"([-+#]|\d+[.)])(\s|$)", said)


@pytest.mark.slow
@given(st.text(min_size=1))
def test_code_in_markdown_keeps_its_backticks_inside(told):
    said = markdown.code(told)
    assert "|" not in said
    if said:
        fence = re.match(r"`+", said)[0]
        assert said.endswith(fence)
        assert fence not in said[len(fence) : -len(fence)].strip()


@given(st.text())
def test_a_name_in_an_address_is_a_file_name(name):
    found = slug(name)
    assert re.fullmatch(r"[A-Za-z0-9._-]+", found)
    assert not found.startswith(".")
    assert len(found) <= 110
    if found != name:
        assert found != slug(found + "x")


# Drawing


_VALUE = st.floats(1e-3, 1e9)
_POINT = st.builds(
    Point,
    kind=st.sampled_from(list(STATUSES)),
    runs=st.lists(_VALUE, max_size=6).map(tuple),
    value=st.none() | _VALUE,
    baseline=st.none() | _VALUE,
    change=st.none() | st.floats(-1, 1),
    limit=st.none() | st.floats(1e-3, 0.9),
    facts=st.just({}),
)


@pytest.mark.slow
@settings(max_examples=40)
@given(st.lists(st.none() | _POINT, min_size=1, max_size=40))
def test_any_nights_can_be_drawn(points):
    if all(point is None for point in points):
        return
    days = [night(number).night for number in range(1, len(points) + 1)]
    for drawn in (series_chart(points, days, [], "label"), sparkline(points, "label")):
        found = Page(drawn)
        assert not drawn or found.all("svg")
        assert "nan" not in drawn
        assert "inf" not in drawn.replace("infer", "")


def test_the_path_of_runs_can_be_read_back():
    """The script of the page reads the runs from it, in tenths of a pixel."""
    points = [
        Point(
            kind="ok",
            runs=(99.0 + n, 101.0, 100.5),
            value=100.0,
            baseline=100.0,
            change=0.0,
            limit=0.02,
            facts={},
        )
        for n in range(5)
    ]
    drawn = series_chart(points, [night(n).night for n in range(1, 6)], [], "label")
    data, box, path = re.search(
        r'viewBox="0 0 (\d+ \d+)"><path class=r data-y="([^"]+)" d="([^"]+)"', drawn
    ).groups()
    height, (low, high) = int(data.split()[1]), map(float, box.split())
    found, y = [], 0
    for letter, numbers in re.findall(r"([Mlv])([^Mlv]*)", path):
        steps = list(map(int, re.findall(r"-?\d+", numbers)))
        for step in steps if letter == "v" else steps[1:]:
            y = step if letter == "M" else y + step
            found.append(high - (high - low) * y / height)
    expected = [one for point in points for one in point.runs]
    assert found == pytest.approx(expected, abs=(high - low) / height)


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e6, 1e6)), max_size=2000))
def test_thinned_points_keep_the_ends(points):
    points.sort()
    found = panels.thinned(points)
    assert len(found) <= panels.MOST_POINTS
    assert set(found) <= set(points)
    if points:
        for pick in (min, max):
            end = pick(value for _, value in points)
            assert end in [value for _, value in found]


@pytest.mark.slow
@settings(max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(1, 1e4)), min_size=1, max_size=60))
def test_bars_of_a_lane_do_not_overlap(times):
    bars = [timeline.Bar(started=start, seconds=length, text="") for start, length in times]
    for lane in timeline._lanes(sorted(bars, key=lambda bar: bar.started)):
        for one, other in pairwise(lane):
            assert one.started + one.seconds <= other.started + 2
    assert "nan" not in timeline.timeline(bars, "label")


# Bad input


def test_without_nights_it_says_how_to_get_some(capsys):
    assert report() == 2
    assert "no night is stored" in capsys.readouterr().err


def test_a_damaged_night_names_its_file(capsys):
    store(night(1))
    path = files.listed("nightly")[0]
    path.write_text("{", encoding="utf-8")
    assert report() == 2
    assert path.name in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--suite", "nightlx"], "did you mean 'nightly'?"),
        (["--night", "2026-01-01"], "the newest one is --night 2026-11-01"),
        (["--night", "tomorrow"], "'tomorrow' is not a day such as 2026-03-31"),
        (["--single-file"], "--single-file needs a file; add -o night.html"),
        (["--single-file", "-o", "."], "is a folder; use -o FILE"),
        (["--markdown", "-o", "."], "is a folder; use -o FILE"),
        (["-o", "file"], "is a file; use -o FOLDER, or add --single-file"),
        (["-o", "mine"], "mine/index.html is not a report; use -o with another folder"),
    ],
)
def test_bad_requests(words, said, capsys):
    store(night(1))
    Path("file").touch()
    Path("mine").mkdir()
    Path("mine/index.html").write_text("<h1>my home page</h1>")
    assert report(*words) == 2
    assert said in capsys.readouterr().err
    assert Path("mine/index.html").read_text() == "<h1>my home page</h1>"


def test_a_folder_that_cannot_be_written(capsys):
    store(night(1))
    Path("file").touch()
    assert report("-o", "file/below") == 3
    assert "cannot write" in capsys.readouterr().err


def test_a_database_that_cannot_be_read_costs_only_the_comparison(monkeypatch, capsys):
    store(mixed())
    runs().mkdir(parents=True)
    monkeypatch.setenv("BENCHDOCK_DATABASE", "postgresql+psycopg://nobody@/none?host=/nowhere")
    assert report("-o", "site") == 0
    assert "got slower" in page(Path("site/index.html")).text


def test_decisions_are_marked_on_the_page_of_the_series():
    store(night(1, QUIET), night(2, QUIET))
    decisions.append("nightly", decision(1, QUIET.key))
    assert report("-o", "site") == 0
    text = page(Path(f"site/series/{QUIET.key}.html")).text
    assert "ada: new driver" in text


@pytest.mark.parametrize("words", [["demo"], ["demo", "nights", "-o", "full"]])
def test_the_demo_refuses(words, capsys):
    Path("full").mkdir()
    Path("full/mine").touch()
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [one.name for one in Path("full").iterdir()] == ["mine"]
