"""`benchdock results chart`: a chart shows what was measured, to everybody, or says why not."""

import itertools
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.arguments import results_chart as arguments
from orchestrator.cli import main
from orchestrator.errors import RequestError
from orchestrator.result import Failure
from orchestrator.results import curves
from orchestrator.ui import axes, chart
from orchestrator.ui.chart import Chart, Line, Mark, svg
from tests.support.figures import store, store_sweep
from tests.support.figures import summary as run

GOLDEN = Path(__file__).parents[1] / "golden/chart.svg"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def runs(home):
    store_sweep(Failure(kind="out_of_memory", message="no memory"))


def lines(runs, x="batch", y="throughput", series=("framework",)):
    found = curves.cells(runs, x, y, series)
    return {
        line.names: [(point.x, point.y) for point in line.points]
        for line in curves.curves(found, y, series)
    }


def refusal(runs, **axes):
    with pytest.raises(RequestError) as raised:
        lines(runs, **axes)
    return str(raised.value)


def test_the_chart_is_the_golden_one(runs, capsys):
    words = ["--x", "batch", "--y", "throughput", "--series", "framework"]
    assert main(["results", "chart", *words, "-o", "chart.svg"]) == 0
    told = capsys.readouterr()
    assert told.out == "wrote chart.svg\n"
    assert told.err == "note: 1 run not in the chart: they failed\n"
    drawn = Path("chart.svg").read_text(encoding="utf-8")
    if os.environ.get("BENCHDOCK_UPDATE_GOLDEN"):
        GOLDEN.write_text(drawn, encoding="utf-8")
    assert drawn == GOLDEN.read_text(encoding="utf-8")


def test_the_golden_chart_says_everything_in_words():
    root = ET.fromstring(GOLDEN.read_text(encoding="utf-8"))
    assert root.get("role") == "img"
    assert root.get("aria-label") == "Throughput of vgg16 by batch"
    said = root.findtext(f"{SVG}desc") or ""
    assert "batch 8: 104.0 samples/s (median of 3 runs, 100.0 samples/s to 120.0 samples/s)" in said
    texts = [one.text for one in root.iter(f"{SVG}text")]
    assert {"mxnet", "pytorch", "throughput (samples/s)", "batch per device (samples)"} <= {*texts}
    assert {"8", "16", "32", "0", "400"} <= {*texts}


def test_lines_have_the_medians():
    made = [run(100, batch=8), run(120, batch=8), run(104, batch=8), run(150, batch=16)]
    assert lines(made) == {("pytorch",): [(8, 104), (16, 150)]}
    assert lines(made, y="time") == {("pytorch",): [(8, 8 / 104), (16, 16 / 150)]}
    assert lines(made, y="speedup") == {("pytorch",): [(8, 1), (16, 150 / 104)]}


def test_scaling_is_weak_by_batch_and_strong_by_global_batch():
    weak = [run(100, devices=1), run(180, devices=2)]
    drawn = lines(weak, x="devices", y="efficiency", series=("framework", "batch"))
    assert drawn == {("pytorch", 32): [(1, 1), (2, 0.9)]}
    strong = [run(100, devices=1, batch=64), run(180, devices=2, batch=32)]
    drawn = lines(strong, x="devices", y="efficiency", series=("global_batch",))
    assert drawn == {(64,): [(1, 1), (2, 0.9)]}


def test_the_global_batch_is_that_of_all_devices():
    made = [run(100, batch=8, devices=2), run(150, batch=16, devices=2)]
    assert lines(made, x="global_batch") == {("pytorch",): [(16, 100), (32, 150)]}


MIXED = [run(1, model="vgg16"), run(2, model="vgg19")]


@pytest.mark.parametrize(
    ("made", "axes", "said"),
    [
        (MIXED, {}, "the runs also differ in model (vgg16, vgg19); use --model vgg16 or --series "
         "framework,model"),
        ([run(devices=n) for n in (1, 2)], {},
         "differ in devices (1, 2); use --series framework,devices"),
        (MIXED, {"series": ("batch",)}, "batch cannot be the x axis and the series at once"),
        (MIXED, {"series": ("model", "model")}, "names the same key twice"),
        (MIXED, {"y": "efficiency"}, "efficiency is over devices, not over batch"),
        (MIXED, {"x": "global_batch", "series": ("batch", "devices")}, "use only two of them"),
        ([run(model=f"m{n}") for n in range(9)], {"series": ("model",)},
         "9 lines are too many for a chart, the maximum is 8"),
    ],
)  # fmt: skip
def test_a_line_never_mixes_benchmarks(made, axes, said):
    assert said in refusal(made, **axes)


@pytest.mark.parametrize("x", curves.X)
@pytest.mark.parametrize("y", curves.Y)
def test_any_axes_draw_every_run_or_say_why_not(x, y):
    several = [(n, b) for n in (1, 2) for b in (8, 16)]
    made = [run(100.0 * n * b, devices=n, batch=b) for n, b in several]
    drawn, refused = 0, 0
    for series in itertools.chain(
        itertools.combinations(curves.SERIES, 1), itertools.permutations(curves.SERIES, 2)
    ):
        try:
            found = curves.cells(made, x, y, series)
            points = [len(line.points) for line in curves.curves(found, y, series)]
        except RequestError:
            refused += 1
            continue
        drawn += 1
        assert sum(cell.runs for cell in found.cells.values()) == len(made)
        # A line that does not begin in the first column has no speed-up.
        assert y in ("speedup", "efficiency") or sum(points) == len(made)
    assert refused
    assert drawn or (y == "efficiency" and x != "devices")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--x", "framework"], "use one of batch, devices, global_batch"),
        (["--x", "bach"], "did you mean 'batch'?"),
        (["--y", "loss"], "one of throughput, time, speedup, efficiency"),
        (["--series", "colour"], "one of model, framework, phase, dtype, device, devices, batch"),
        (["--phase", "inference"], "no stored run matches"),
        (["-o", "."], ". is a folder"),
    ],
)
def test_nonsense_is_one_line_with_what_is_possible(runs, words, said, capsys):
    output = [] if "-o" in words else ["-o", "x.svg"]
    assert main(["results", "chart", *words, *output]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not Path("x.svg").exists()


def test_a_chart_is_drawn_on_standard_output(runs, capsys):
    assert main(["results", "chart", "-o", "-"]) == 0
    assert capsys.readouterr().out == GOLDEN.read_text(encoding="utf-8")


def test_no_figure_is_no_chart(home, capsys):
    store("20260101T000000-x", failure=Failure(kind="crashed", message="x"))
    assert main(["results", "chart", "-o", "x.svg"]) == 2
    assert "none of the runs can be drawn: they failed" in capsys.readouterr().err


def test_the_parser_has_the_axes():
    assert arguments.X == curves.X
    assert arguments.Y == curves.Y
    assert set(arguments.SERIES) == set(curves.SERIES)


def luminance(colour):
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(weight * p for weight, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize(
    ("palette", "ground"),
    [(chart.LIGHT, chart.BACKGROUNDS[0]), (chart.DARK, chart.BACKGROUNDS[1])],
)
def test_every_line_is_seen_on_its_background(palette, ground):
    """WCAG 2.2, 1.4.11: 3:1 for what one has to see to understand."""
    for colour in palette:
        bright, dark = sorted((luminance(colour), luminance(ground)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 3, colour
    assert len(set(palette)) == curves.MOST_CURVES


def test_lines_differ_without_colours():
    markers = {chart.marker(n, 0, 0) for n in range(curves.MOST_CURVES)}
    assert len(markers) == curves.MOST_CURVES
    drawn = svg(example(curves.MOST_CURVES))
    dashes = re.findall(r"\.s\d\{stroke-dasharray:([^}]*)\}", drawn)
    assert len(dashes) == len(set(dashes)) == curves.MOST_CURVES - 1  # the first is not dashed


def example(count, label="line", marks=((1, 2.0), (4, 3.0))):
    several = tuple(Mark(x=x, y=y, text=f"{x}: {y}") for x, y in marks)
    every = tuple(Line(label=f"{label} {n}", marks=several) for n in range(count))
    return Chart(title=label, subtitle="of all", x_title="x", y_title="y (unit)", lines=every)


FIGURES = st.floats(1e-6, 1e9)
MARKS = st.lists(st.tuples(st.integers(1, 10**6), FIGURES), min_size=1, max_size=20)


@pytest.mark.slow
@given(st.text(max_size=30), MARKS, st.integers(1, 8))
def test_any_chart_is_valid_and_inside_its_frame(label, marks, count):
    drawn = svg(example(count, label, sorted(marks)))
    root = ET.fromstring(drawn)
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    places = [
        (float(x), float(y))
        for line in root.iter(f"{SVG}polyline")
        for x, y in (pair.split(",") for pair in line.get("points", "").split())
    ]
    assert all(0 <= x <= width and 0 <= y <= height for x, y in places)
    assert len(places) == (count * len(marks) if len(marks) > 1 else 0)
    assert "nan" not in drawn.replace(label, "")


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=40))
def test_counts_are_in_order_and_labelled_with_counts_that_occur(values):
    axis = axes.counts(values, 10, 490)
    assert {min(values)} <= set(axis.labels) <= set(values)
    labels = [axis.at(value) for value in axis.labels]
    assert all(after - before >= 40 for before, after in itertools.pairwise(labels))
    places = [axis.at(value) for value in sorted(set(values))]
    assert all(before < after for before, after in itertools.pairwise(places))
    assert all(10 - 1e-9 <= place <= 490 + 1e-9 for place in places)


@given(FIGURES)
def test_an_axis_from_zero_ends_at_a_round_number(highest):
    axis = axes.from_zero(highest, 100, 0)
    assert axis.labels[0] == 0
    assert highest <= axis.labels[-1] * (1 + 1e-9)
    assert axis.labels[-1] <= 2.5 * highest
    assert 2 <= len(axis.labels) <= 7
    assert axis.at(highest) + 1e-6 >= 0
