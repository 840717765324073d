"""Makes the pages of a report and writes them: a folder of files, or one file.

The pages need no network: their policy allows only the scripts beside them, or in one file those
with the digests that the policy lists.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.nights.record import NightSeries
from orchestrator.paths import RunFolder, slug, write_aside
from orchestrator.report import compare_page, machine_page, night_page, run_page, series_page
from orchestrator.report.findings import host
from orchestrator.report.links import Links
from orchestrator.report.safe import finalized
from orchestrator.report.stored import Stored
from orchestrator.report.window import Window
from orchestrator.ui.chart import rules
from orchestrator.version import VERSION

_TEMPLATES = Path(__file__).parent / "templates"
GENERATOR = "benchdock report"
INSTALL = "pip install 'benchdock[report]'"
_POLICY = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"
_PLOTLY = "plotly.min.js"
_FIRST, _COMPARE, _MACHINE = "index", "compare", "machine"
_TITLES = {_FIRST: "Night", _COMPARE: "Compare", _MACHINE: "Machine"}


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a report tells: nights, stored runs, and the runs that get a page."""

    window: Window
    stored: Stored
    runs: tuple[tuple[NightSeries, RunFolder], ...]
    made: datetime

    @property
    def run_names(self) -> frozenset[str]:
        """Return the names of the runs that get a page."""
        return frozenset(folder.run_id for _, folder in self.runs)


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page: its name without a suffix, such as `series/KEY`, its title and its content."""

    name: str
    title: str
    template: str
    context: Mapping[str, Any]


def plotly() -> Path | None:
    """Return the script of plotly, None if it is not installed."""
    found = find_spec("plotly")
    if found is None or found.origin is None:
        return None
    script = Path(found.origin).parent / "package_data" / _PLOTLY
    return script if script.is_file() else None


def pages(told: Told) -> Iterator[Page]:
    """Yield all pages, the first one first."""
    window, night = told.window, told.window.tonight
    where = f"{night.suite} on {host(night)}"

    def page(name: str, title: str, template: str, context: Mapping[str, Any]) -> Page:
        return Page(name=name, title=f"{title}: {where}", template=template, context=context)

    yield page(_FIRST, f"{night.night}", "night", night_page.context(window))
    yield page(_COMPARE, "Compare", "compare", compare_page.context(told.stored))
    yield page(_MACHINE, "Machine", "machine", machine_page.context(window, told.stored))
    for series in night.series:
        name = f"series/{slug(series.key)}"
        yield page(name, series.title, "series", series_page.context(window, series))
    for series, folder in told.runs:
        name = f"run/{slug(folder.run_id)}"
        yield page(name, folder.run_id, "run", {**run_page.context(folder), "series": series})


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def _body(page: Page, links: Links) -> Markup:
    template = _environment().get_template(f"{page.template}.html.j2")
    return Markup(template.render(**page.context, links=links))


def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _style() -> str:
    """Return the style sheet of the pages, with the rules of charts, whose ground is the page."""
    return _asset("style.css") + rules() + ".benchdock-chart .ground{fill:none!important}"


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """What is around the content of all pages."""

    told: Told
    hint: str

    def page(self, links: Links, **content: Any) -> str:
        template = _environment().get_template("page.html.j2")
        listed = [(name, label, links.page(name)) for name, label in _TITLES.items()]
        return template.render(
            night=self.told.window.tonight,
            host=host(self.told.window.tonight),
            pages=listed,
            root=links.root,
            generator=f"{GENERATOR} {VERSION}",
            version=VERSION,
            made=f"{self.told.made:%Y-%m-%d %H:%M}",
            hint=self.hint,
            **content,
        )


def write_site(told: Told, folder: Path) -> None:
    """Write all pages into a folder. Raises OSError."""
    library = plotly()
    frame = _frame(told, library)
    for name in ("", "series", "run"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write_aside(folder / "style.css", _style(), durable=False)
    write_aside(folder / "report.js", _asset("report.js"), durable=False)
    if library is not None:
        _copy(library, folder / _PLOTLY)
    # The first page comes last, when all that it leads to is there.
    for page in sorted(pages(told), key=lambda page: page.name == _FIRST):
        text = _site_page(frame, page, Links(runs=told.run_names), library is not None)
        write_aside(folder / f"{page.name}.html", text, durable=False)


def _site_page(frame: _Frame, page: Page, links: Links, zooms: bool) -> str:
    here = replace(links, root="../" * page.name.count("/"))
    known = f' data-plotly="{here.root}{_PLOTLY}"' if zooms else ""
    return frame.page(
        here,
        title=page.title,
        current=page.name,
        body=_body(page, here),
        policy=f"{_POLICY}; style-src 'self' file: 'unsafe-inline'; script-src 'self' file:",
        style="",
        scripts=[Markup(f'<script src="{here.root}report.js" defer{known}></script>')],
    )


def _copy(source: Path, target: Path) -> None:
    """Copy plotly's script, which is large, unless it is there."""
    if not target.is_file() or target.stat().st_size != source.stat().st_size:
        shutil.copyfile(source, target)


def is_report(folder: Path) -> bool:
    """Whether a folder has no first page, or one of a report. Raises OSError."""
    first = folder / f"{_FIRST}.html"
    if not first.exists():
        return True
    with first.open(encoding="utf-8", errors="replace") as stream:
        return f'name="generator" content="{GENERATOR}' in stream.read(4096)


def _frame(told: Told, library: Path | None) -> _Frame:
    return _Frame(
        told=told,
        hint="" if library is not None else f"run `{INSTALL}` for charts that zoom",
    )


def single_file(told: Told) -> str:
    """Return all pages as sections of one document."""
    library = plotly()
    links = Links(single=True, runs=told.run_names)
    night = told.window.tonight
    scripts = [_asset("report.js")]
    if library is not None:
        scripts.insert(0, library.read_text(encoding="utf-8"))
    digests = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    bodies = [
        {"anchor": page.name.replace("/", "-"), "body": _body(page, links)} for page in pages(told)
    ]
    return _frame(told, library).page(
        links,
        title=f"{night.night}: {night.suite} on {host(night)}",
        current=_FIRST,
        body="",
        bodies=bodies,
        policy=f"{_POLICY}; style-src 'unsafe-inline'; script-src {digests}",
        style=Markup(_style()),
        scripts=[Markup(f"<script>{script}</script>") for script in scripts],
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
