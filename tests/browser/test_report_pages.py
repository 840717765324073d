"""The pages of a report in a real Chromium, which has no network here."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from orchestrator.cli import main
from tests.support import chromium, demo

SCHEMES = ("light", "dark")
PAGES = ("index", "compare", "machine", "series", "run", "single")


@pytest.fixture(scope="module")
def browser():
    if why := chromium.missing():
        pytest.skip(why)
    with chromium.browser() as started:
        yield started


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    """Return the address of one page of each kind."""
    folder = demo.make(tmp_path_factory.mktemp("demo") / "new")
    report = folder / "report"
    series = next(one for one in (report / "series").iterdir() if "regressed" in one.read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCHDOCK_HOME", str(folder / "home"))
        assert main(["report", "--single-file", "-o", str(folder / "one.html")]) == 0
    run = next(one for one in (report / "run").iterdir() if "data-panels" in one.read_text())
    found = {"series": series, "run": run, "single": folder / "one.html"}
    return {name: (found.get(name) or report / f"{name}.html").as_uri() for name in PAGES}


class Tab:
    """A tab, with all that went wrong in it and all that it asked for."""

    def __init__(self, browser, **options):
        self.scheme = options.get("color_scheme")
        self.context = browser.new_context(offline=True, **options)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def open(self, address: str):
        self.page.goto(address)
        return self.page

    def check(self):
        assert self.said == []
        strange = [one for one in self.requests if not one.startswith(("file:", "data:", "blob:"))]
        assert strange == []


@pytest.fixture
def tab(browser, request):
    made = Tab(browser, **getattr(request, "param", {}))
    yield made
    made.context.close()


def barriers(page) -> list[str]:
    """Return what axe finds, each with the first place."""
    script = Path(find_spec("axe_playwright_python").origin).with_name("axe.min.js")
    page.evaluate(script.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run({ preload: false })")
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]


def scrolled(page) -> None:
    """Scroll through the page, so that everything is drawn."""
    page.evaluate(
        """async () => {
          for (let y = 0; y < document.body.scrollHeight; y += 600) {
            scrollTo(0, y); await new Promise((done) => setTimeout(done, 30));
          }
        }"""
    )
    page.wait_for_timeout(300)


@pytest.mark.parametrize(
    "tab", [{"color_scheme": one} for one in SCHEMES], indirect=True, ids=SCHEMES
)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_error_no_request_and_no_barrier(tab, addresses, name):
    if name == "single" and tab.scheme == "dark":
        pytest.skip("axe needs half a minute for it, and the other pages have the same colours")
    page = tab.open(addresses[name])
    if name != "single":  # which has all charts at once
        scrolled(page)
    assert page.locator("h1").first.is_visible()
    tab.check()
    assert barriers(page) == []
    tab.check()


@pytest.mark.parametrize(
    "tab", [{"color_scheme": one} for one in SCHEMES], indirect=True, ids=SCHEMES
)
def test_the_scheme_decides_the_ground(tab, addresses, request):
    page = tab.open(addresses["index"])
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(re.search(r"\d+", ground)[0])
    is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert (red < 60) == is_dark


@pytest.mark.parametrize("tab", [{"java_script_enabled": False}], indirect=True)
@pytest.mark.parametrize("name", PAGES)
def test_what_one_must_read_works_without_script(tab, addresses, name):
    page = tab.open(addresses[name])
    if name in ("series", "run", "machine"):
        assert page.locator("figure svg.chart").first.is_visible()
    if name == "index":
        assert page.locator("table.series svg.s").first.is_visible()
        assert "got slower" in page.locator("h1").inner_text()
        assert page.locator(".finding .status").first.inner_text().endswith("regressed")
    assert not page.locator(".filter").first.is_visible()
    tab.check()


@pytest.mark.parametrize("name", ["series", "run"])
def test_charts_zoom_and_say_their_values(tab, addresses, name):
    page = tab.open(addresses[name])
    drawn = page.locator(".drawn .main-svg").first
    drawn.wait_for()
    assert not page.locator("figure svg.chart").first.is_visible()
    box = page.locator(".drawn").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60)
    for step in range(0, 300, 5):
        page.mouse.move(box["x"] + box["width"] / 2 + step / 4, box["y"] + 30 + step)
        if page.locator(".hoverlayer text").count():
            break
        page.wait_for_timeout(20)
    assert page.locator(".hoverlayer text").count()
    tab.check()


def test_the_script_reads_the_runs_as_they_are(tab, addresses):
    page = tab.open(addresses["series"])
    page.locator(".drawn .main-svg").first.wait_for()
    shown = page.evaluate("document.querySelector('.drawn').data[2].y.slice(-10)")
    listed = page.locator("table:has(caption:text-is('Runs')) tbody td.n").all_inner_texts()
    tonight = [float(one.replace(",", "")) for one in listed]
    assert shown[-len(tonight) :] == pytest.approx(tonight, rel=2e-3)


def test_a_printed_page_has_its_chart_and_is_light(tab, addresses, tmp_path):
    page = tab.open(addresses["series"])
    page.locator(".drawn .main-svg").first.wait_for()
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator("figure svg.chart").first.is_visible()
    assert not page.locator(".drawn").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    pdf = page.pdf()
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 10_000


def test_everything_can_be_reached_with_the_keyboard(tab, addresses):
    page = tab.open(addresses["series"])
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.tagName"))
        if reached[-1] == "SUMMARY":
            break
    assert reached[-1] == "SUMMARY"
    page.keyboard.press("Enter")
    assert page.locator("table.nights").is_visible()


def test_the_filter_shows_the_rows_with_all_words(browser, addresses, tmp_path_factory):
    folder = tmp_path_factory.mktemp("many") / "new"
    words = ["demo", "nights", "--series", "20", "--nights", "4", "-o", str(folder)]
    assert main(words) == 0
    made = Tab(browser)
    page = made.open((folder / "report/index.html").as_uri())
    page.get_by_label("Filter").fill("alexnet caffe2")
    rows = page.locator("table.series tbody tr:has(td)")
    shown = [one for one in rows.all_inner_texts() if one]
    visible = page.locator("table.series tbody tr:has(td):visible").all_inner_texts()
    assert 0 < len(visible) < len(shown) + 1
    assert all("alexnet" in one and "caffe2" in one for one in visible)
    assert page.get_by_role("status").inner_text() == f"{len(visible)} shown"
    made.check()
    made.context.close()
