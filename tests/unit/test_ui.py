from __future__ import annotations

import contextlib
import io
import itertools
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from orchestrator import ui
from orchestrator.doctor.finding import Finding
from orchestrator.parsers.contract import Progress, Stage
from orchestrator.result import Failure, Metric, Result
from orchestrator.ui import tables, words
from orchestrator.ui.live import LiveView, Scene, frame, result_panel
from orchestrator.ui.plain import PlainView, QuietView, VerboseView
from orchestrator.ui.text import Outlet, clean
from tests.fakes import plan

ROOT = Path(__file__).parents[2]
NASTY = (
    "\x1b[31m[bold]red[/bold]\x1b[0m \x1b]0;title\x07bell\x07 \x9b2Jcsi \u202eevil\u2028 :smile:"
)

OK = Result(
    benchdock="0.1.0",
    run="run-1",
    status="ok",
    program={"model": "resnet50", "phase": "training", "framework": "pytorch"},
    metrics={
        "throughput": Metric(value=1234.56, unit="samples/s"),
        "throughput_ci95_low": Metric(value=1200.0, unit="samples/s"),
        "throughput_ci95_high": Metric(value=1250.0, unit="samples/s"),
        "step_time_median": Metric(value=0.0123, unit="s"),
        "step_time_p90": Metric(value=0.0145, unit="s"),
        "step_time_p99": Metric(value=0.0199, unit="s"),
        "peak_memory": Metric(value=3 * 2**30, unit="bytes"),
    },
    warnings=("the standard deviation of the step time is 12 % of its mean", "second"),
    notes=("the interval covers only what the run showed",),
)
FAILED = Result(
    benchdock="0.1.0",
    run="run-2",
    status="failed",
    failure=Failure(
        kind="out_of_memory", message="the GPU's memory is full", evidence="CUDA out of memory"
    ),
)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


# Text of others


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain [bold]text[/bold]", "plain [bold]text[/bold]"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]52;c;aGVsbG8=\x07after", "after"),
        ("\x1bPdevice\x1b\\after", "after"),
        ("\x1bcreset \x1b(0charset", "reset charset"),
        ("\x9b2Jc1", "c1"),
        ("a\tb\rc\nd", "a    b c d"),
        ("bell\x07null\x00del\x7f", "bellnulldel"),
        ("\u202eright to left\u2066\u200b", "right to left"),
        ("\ud800", "\ufffd"),
        ("größer 你好 👍", "größer 你好 👍"),
        ("unfinished \x1b", "unfinished "),
        ("unfinished \x1b[", "unfinished "),
    ],
)
def test_clean(text: str, safe: str) -> None:
    assert clean(text) == safe


@given(st.text())
def test_clean_leaves_no_control_characters(text: str) -> None:
    safe = clean(text)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", safe)
    assert clean(safe) == safe


def test_what_an_encoding_lacks_is_escaped() -> None:
    raw = io.BytesIO()
    outlet = Outlet(io.TextIOWrapper(raw, encoding="ascii"))
    outlet.line("✓ größer")
    assert raw.getvalue() == b"\\u2713 gr\\xf6\\xdfer\n"


def test_a_broken_stream_is_nobodys_problem() -> None:
    with open("/dev/full", "w") as full:
        outlet = Outlet(full)
        outlet.line("text")
        outlet.write_bytes(b"bytes")
        assert outlet.broken
        outlet.line("more")
        with pytest.raises(OSError, match="No space"):
            full.close()
    closed = io.StringIO()
    closed.close()
    Outlet(closed).line("text")


# Plain views


def test_plain_view_speaks_seldom() -> None:
    out, err, clock = io.StringIO(), io.StringIO(), [100.0]
    view = PlainView(out, err, now=lambda: clock[0])
    view.stage("starting the container")
    for step in range(200):
        clock[0] += 0.5
        stage: Stage = "timing" if step >= 10 else "warmup"
        view.progress(Progress(stage=stage, steps_done=step, steps_total=200, throughput=12.0))
        view.output(b"line\n")
    view.note("stopping \x1b[1mnow")
    view.progress(Progress(stage="done", steps_done=200, steps_total=200, throughput=12.0))
    assert err.getvalue().splitlines() == [
        "[0:00] starting the container",
        "[0:00] warming up, 0 of 200 steps, 12.00 samples/s",
        "[0:05] timing, 10 of 200 steps, 12.00 samples/s",
        "[0:35] timing, 70 of 200 steps, 12.00 samples/s",
        "[1:05] timing, 130 of 200 steps, 12.00 samples/s",
        "[1:35] timing, 190 of 200 steps, 12.00 samples/s",
        "[1:40] stopping now",
        "[1:40] finished, 200 of 200 steps",
    ]
    assert out.getvalue() == ""


def test_plain_result() -> None:
    out = io.StringIO()
    PlainView(out, io.StringIO()).result(OK)
    assert out.getvalue().splitlines()[:8] == [
        "measured",
        "  what        resnet50 training, pytorch",
        "  throughput  1,235 samples/s (95 % interval within this run: 1,200 to 1,250)",
        "  step time   median 12.30 ms, p90 14.50 ms, p99 19.90 ms",
        "  memory      3.000 GiB at most on the device",
        "  warning     the standard deviation of the step time is 12 % of its mean",
        "              second",
        "  note        the interval covers only what the run showed",
    ]
    assert re.search(r"files +\S+/runs/run-1$", out.getvalue())


@pytest.mark.parametrize(("device", "where"), [("cpu", "in the process"), ("gpu", "on the device")])
def test_memory_is_that_of_what_was_measured(device: str, where: str) -> None:
    of_log = OK.model_copy(update={"program": OK.program.model_copy(update={"device": device})})
    of_run = OK.model_copy(update={"plan": plan(device=device)})
    for result in (of_log, of_run):
        assert ("memory", f"3.000 GiB at most {where}") in words.rows(result)


def test_failure_shows_the_last_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    folder = tmp_path / "runs" / "run-2"
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("")
    out = io.StringIO()
    view = QuietView(out)
    view.progress(Progress(last_lines=tuple(f"line {i}" for i in range(20))))
    view.result(FAILED)
    told = out.getvalue()
    assert told.startswith("failed: out_of_memory\n")
    assert "why        the GPU's memory is full" in told
    assert "evidence   CUDA out of memory" in told
    assert "line 11\n" not in told
    assert "log        line 12\n             line 13\n" in told
    assert f"whole log  {folder / 'log.txt'}" in told


def test_quiet_view_shows_only_the_result() -> None:
    out = io.StringIO()
    view = QuietView(out)
    view.stage("starting")
    view.output(b"log")
    view.note("note")
    view.close()
    assert out.getvalue() == ""
    view.result(OK)
    assert out.getvalue().startswith("measured\n")


def test_verbose_is_verbatim_in_a_pipe() -> None:
    raw = io.BytesIO()
    err = io.TextIOWrapper(raw, encoding="utf-8")
    view = VerboseView(io.StringIO(), err)
    view.output(b"\x1b[1mhalf")
    view.output(b" \xff line\n")
    view.close()
    assert raw.getvalue() == b"\x1b[1mhalf \xff line\n"


def test_verbose_is_safe_on_a_terminal() -> None:
    err = Terminal()
    view = VerboseView(io.StringIO(), err)
    view.output(b"\x1b[2Jone\r\ntw")
    view.output(b"o\x07\n\xff three")
    assert err.getvalue() == "one \ntwo\n"
    view.close()
    view.close()
    assert err.getvalue() == "one \ntwo\n\ufffd three\n"


# The live view


def scene(**fields: Any) -> Scene:
    progress = Progress(
        stage="timing", steps_done=6, steps_total=20, throughput=123.4, last_lines=("a", NASTY, "b")
    )
    usual: dict[str, Any] = {
        "stage": "running pytorch resnet50",
        "elapsed": 83.0,
        "progress": progress,
    }
    return Scene(**usual | fields)


def test_frame() -> None:
    lines = frame(scene(), width=80, ascii_only=True).plain.splitlines()
    assert lines[0] == "running pytorch resnet50"
    assert lines[1] == "1:23  timing, 6 of 20 steps"
    assert lines[2].startswith("################----")
    assert lines[2].endswith("  30%")
    assert lines[3] == "123.4 samples/s"
    assert lines[4] == "a"
    assert "[bold]red[/bold] bell csi evil :smile:" in lines[5]


@pytest.mark.parametrize("width", [1, 10, 20, 40, 200])
def test_frame_fits(width: int) -> None:
    progress = Progress(
        stage="timing", steps_done=30, steps_total=20, last_lines=("你好" * 100, "x" * 500)
    )
    drawn = frame(scene(progress=progress), width=width)
    assert max(cell_len(line) for line in drawn.plain.splitlines()) <= max(width, 10)
    assert len(drawn.plain.splitlines()) == 5


def test_frame_before_the_program_speaks() -> None:
    lines = frame(scene(progress=Progress()), width=40).plain.splitlines()
    assert lines == ["running pytorch resnet50", "1:23"]


def render(result: Result, width: int, *last_lines: str) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, no_color=True, markup=False).print(
        result_panel(result, last_lines)
    )
    return stream.getvalue()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_panel_fits(width: int) -> None:
    drawn = render(OK, width)
    assert all(cell_len(line) <= width for line in drawn.splitlines())
    assert "1,235 samples/s" in drawn
    assert "12.30 ms" in drawn


def test_panel_does_not_obey_the_log() -> None:
    drawn = render(FAILED, 120, NASTY)
    assert "[bold]red[/bold] bell csi evil :smile:" in drawn
    assert "\x1b" not in drawn
    assert "failed: out_of_memory" in drawn


def live(out: TextIO, err: TextIO) -> LiveView:
    return LiveView(out, err)


def test_live_view_cleans_up_and_hands_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out, err = io.StringIO(), Terminal()
    view = live(out, err)
    view.stage("starting the container")
    view.progress(Progress(stage="timing", steps_done=1, steps_total=2, last_lines=(NASTY,)))
    deadline = time.monotonic() + 5
    while "1 of 2 steps" not in err.getvalue():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    view.note("[red]a note")
    view.result(OK)
    view.close()
    told = err.getvalue()
    assert told.count("\x1b[?25l") == told.count("\x1b[?25h") == 1
    assert "[red]a note" in told
    assert "\x1b]0;title" not in told
    assert out.getvalue().startswith("measured\n")


def test_live_view_on_a_terminal_that_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    err = Terminal()
    view = live(io.StringIO(), err)
    err.close()
    view.stage("starting")
    view.note("a note")
    view.result(OK)
    view.close()


def test_nothing_new_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    err = Terminal()
    view = live(io.StringIO(), err)
    same = Progress(stage="timing", steps_done=1)
    for _ in range(1000):
        view.progress(same)
    time.sleep(0.3)
    view.close()
    assert err.getvalue().count("timing") <= 2


# Which view


@pytest.mark.parametrize(
    ("terminal", "term", "options", "kind"),
    [
        (True, "xterm-256color", {}, LiveView),
        (True, "dumb", {}, PlainView),
        (True, None, {}, PlainView),
        (False, "xterm", {}, PlainView),
        (True, "xterm", {"verbose": True}, VerboseView),
        (True, "xterm", {"quiet": True}, QuietView),
    ],
)
def test_choice(
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
    term: str | None,
    options: dict[str, bool],
    kind: type,
) -> None:
    if term is None:
        monkeypatch.delenv("TERM", raising=False)
    else:
        monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    view = ui.choose(**options)
    view.close()
    assert type(view) is kind


def test_result_stays_off_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    ui.choose(result_on_stdout=False).result(OK)
    assert out.getvalue() == ""
    assert "1,235 samples/s" in err.getvalue()


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    view = live(out, Terminal())
    view.result(FAILED)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", out.getvalue())


# Tables


FINDINGS = [
    Finding(name="engine", state="ok", detail="docker 28.2"),
    Finding(name="GPU", state="missing", detail="no \x1b[1mdriver [b]", remedy="apt-get install x"),
]


def test_plain_findings(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_findings(FINDINGS)
    assert capsys.readouterr().out.splitlines() == [
        "ok       engine  docker 28.2",
        "missing  GPU     no driver [b]",
        "                 fix: apt-get install x",
    ]


def test_plain_table(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_table(("name", "n"), [("a\x1b[1m", "10"), ("longer", "5")], right=(1,))
    assert capsys.readouterr().out == "name     n\na       10\nlonger   5\n"


@pytest.mark.parametrize("columns", ["40", "120"])
def test_drawn_tables(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", columns)
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    tables.print_table(("name", "why"), [("[red]a", "word " * 30)])
    tables.print_findings(FINDINGS)
    told = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert "\x1b" not in told
    assert all(cell_len(line) <= int(columns) for line in told.splitlines())
    assert "[red]a" in told
    assert "fix: apt-get" in told


@pytest.mark.parametrize("columns", ["0", "1", "20"])
def test_if_nothing_can_be_drawn_lines_are_written(
    monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", columns)
    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", out)
    tables.print_findings(FINDINGS)
    with contextlib.closing(ui.choose()) as view:
        view.result(OK)
    told = out.getvalue()
    assert "\x1b" not in told
    assert "fix: apt-get install x\n" in told
    assert "measured\n" in told


CELLS = st.lists(st.text("abc_1", min_size=1, max_size=12), max_size=6).map(" ".join)


@pytest.mark.slow
@given(
    columns=st.integers(10, 90),
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=3),
    right=st.sets(st.integers(0, 2)),
)
def test_no_word_of_a_table_is_cut(
    columns: int, rows: list[tuple[str, str, str]], right: set[int]
) -> None:
    titles = ("model", "classes", "frameworks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TERM", "xterm")
        patch.setenv("COLUMNS", str(columns))
        out = Terminal()
        patch.setattr(sys, "stdout", out)
        tables.print_table(titles, rows, right=right)
    told = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).split()
    assert set(" ".join(itertools.chain(titles, *rows)).split()) <= set(told)


@pytest.mark.slow
def test_plain_output_does_not_load_rich() -> None:
    code = (
        "import sys\n"
        "from orchestrator import ui\n"
        "from orchestrator.ui import tables\n"
        "tables.print_table(('a',), [('b',)])\n"
        "assert 'pydantic' not in sys.modules, 'pydantic was imported'\n"
        "ui.choose().close()\n"
        "assert 'rich' not in sys.modules, 'rich was imported'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        (Progress(stage="comparing", steps_done=1), "comparing, 1 done"),
        (Progress(stage="timing", steps_done=1), "timing, 1 step"),
        (Progress(stage="timing", steps_done=2), "timing, 2 steps"),
        (Progress(stage="warmup", steps_done=1, steps_total=9), "warming up, 1 of 9 steps"),
    ],
)
def test_progress_in_words(progress: Progress, told: str) -> None:
    assert words.progress_words(progress) == told


def test_clock() -> None:
    assert [words.clock(t) for t in (0, 59.9, 60, 3599, 3600, 90061)] == [
        *("0:00", "0:59", "1:00", "59:59", "1:00:00", "25:01:01")
    ]
