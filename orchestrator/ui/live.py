"""The view of a terminal: a few lines that are redrawn during the run.

benchdock must not disturb what it measures: it draws at most four frames per second, and one per
second if only the clock changes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import IO, TextIO, cast

from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from orchestrator.progress import Progress
from orchestrator.result import Result
from orchestrator.ui import words
from orchestrator.ui.plain import print_result
from orchestrator.ui.text import Outlet, clean
from orchestrator.units import quantity

IDLE_SECONDS = 1.0
SHORTEST_SECONDS = 0.25
_LOG_LINES = 3
_STYLES = {"warning": "yellow", "why": "red", "evidence": "red", "log": "dim"}


def console(outlet: Outlet) -> Console:
    """Return a console that does not add markup, colours or links to text."""
    return Console(file=cast(IO[str], outlet), markup=False, emoji=False, highlight=False)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a frame shows."""

    stage: str
    elapsed: float
    progress: Progress


def frame(scene: Scene, *, width: int, ascii_only: bool = False) -> Text:
    """Draw a scene in lines that fit the terminal. Text from logs is made safe."""
    progress = scene.progress
    running = progress.stage != "starting"
    words_now = words.progress_words(replace(progress, throughput=None)) if running else ""
    lines = [
        Text(clean(scene.stage), style="bold"),
        Text(f"{words.clock(scene.elapsed)}  {words_now}".rstrip()),
    ]
    if progress.steps_total:
        share = min(1.0, progress.steps_done / progress.steps_total)
        lines.append(_bar(share, max(4, min(width, 60) - 6), ascii_only))
    if progress.throughput is not None:
        lines.append(Text(quantity(progress.throughput, progress.unit), style="cyan"))
    lines += [Text(clean(line), style="dim") for line in progress.last_lines[-_LOG_LINES:]]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Text("\n", no_wrap=True).join(lines)


def _bar(share: float, width: int, ascii_only: bool) -> Text:
    full, empty = ("#", "-") if ascii_only else ("\u2501", "\u2500")
    done = int(share * width)
    bar = Text(full * done, style="green")
    bar.append(empty * (width - done), style="dim")
    bar.append(f" {share:4.0%}", style="default")
    return bar


def result_panel(result: Result, last_lines: tuple[str, ...] = ()) -> Panel:
    """Draw a result; long texts are folded to the terminal's width."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    before = ""
    for label, text in words.rows(result, last_lines):
        style = _STYLES.get(label, "")
        grid.add_row("" if label == before else label, Text(clean(text), style=style))
        before = label
    colour = {"ok": "green", "failed": "red", "planned": "cyan"}[result.status]
    return Panel(grid, title=Text(words.title(result)), border_style=colour, title_align="left")


class LiveView:
    """Draws on `err`, a terminal; the result goes to `out`."""

    def __init__(
        self, out: TextIO, err: TextIO, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._out = Outlet(out)
        self._console = console(Outlet(err))
        self._ascii = not self._console.encoding.lower().startswith("utf")
        self._stage = "preparing"
        self._latest = Progress()
        self._now = now
        self._started = now()
        self._closed = threading.Event()
        self._wake = threading.Event()
        self._live = Live(
            self._draw(),
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()
        self._ticker = threading.Thread(target=self._tick, name="view", daemon=True)
        self._ticker.start()

    def stage(self, text: str) -> None:
        """Show the new stage."""
        self._stage = text
        self._wake.set()

    def progress(self, progress: Progress) -> None:
        """Show the progress in the next frame."""
        if progress != self._latest:
            self._latest = progress
            self._wake.set()

    def output(self, block: bytes) -> None:
        """Ignore the log: the progress has its last lines."""

    def note(self, text: str) -> None:
        """Print a note above the moving lines, where it stays."""
        self._console.print(Text(clean(text)))

    def result(self, result: Result) -> None:
        """Remove the moving lines and show the result."""
        self.close()
        if self._out.isatty():
            console(self._out).print(result_panel(result, self._latest.last_lines))
        else:
            print_result(result, self._out, self._latest.last_lines)

    def close(self) -> None:
        """Remove the moving lines and show the cursor again."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._wake.set()
        self._ticker.join()
        self._live.stop()

    def _draw(self) -> Text:
        scene = Scene(
            stage=self._stage,
            elapsed=self._now() - self._started,
            progress=self._latest,
        )
        return frame(scene, width=self._console.width, ascii_only=self._ascii)

    def _tick(self) -> None:
        while not self._closed.is_set():
            self._wake.wait(IDLE_SECONDS)
            self._wake.clear()
            if self._closed.is_set():
                return
            self._live.update(self._draw(), refresh=True)
            self._closed.wait(SHORTEST_SECONDS)
