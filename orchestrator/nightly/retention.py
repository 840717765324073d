"""What old nights leave behind: compresses, then removes what is large in their runs.

Also removes their sessions and our images. Results, requests and scripts stay for ever. A run with
a tag keeps everything, and so do the runs of series that got slower or were accepted that night.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from orchestrator import compressed
from orchestrator.errors import BenchdockError, MachineError
from orchestrator.images import pruning as images
from orchestrator.images.image_table import ImageTable
from orchestrator.nights.past import Past
from orchestrator.nights.record import Night, NightSeries
from orchestrator.paths import RunFolder, runs, sessions
from orchestrator.results import needs, pruning
from orchestrator.store import rows

# Nights after which logs are compressed, are removed, and after which images may be removed.
COMPRESSED, LOGS, IMAGES = 14, 90, 14
# Nights that are looked at again, because one may have been interrupted.
_AGAIN = 10
_IMAGE = "image"

Tell = Callable[[str], None]


def old_runs(nights: Iterable[Night], now: int, tell: Tell) -> int:
    """Remove what is large of old nights; return how many runs lost something.

    `nights` come newest first, `now` is the number of tonight.
    """
    count = 0
    for night in _from(nights, now - LOGS):
        try:
            count += sum(map(_shrink, _expendable(night)))
            _remove_session(night.session)
        except MachineError as error:
            tell(str(error))
    return count


def compress(nights: Iterable[Night], now: int, tell: Tell) -> int:
    """Compress logs and samples of nights two weeks ago; return how many runs had some."""
    count = 0
    for night in _from(nights, now - COMPRESSED):
        for series in night.series:
            for run in series.runs:
                if run.result:
                    count += _compressed(RunFolder(runs() / run.result), tell)
    return count


def _from(nights: Iterable[Night], number: int) -> Iterator[Night]:
    """Yield the night of that number and a few before it."""
    return (night for night in nights if number - _AGAIN < night.number <= number)


def _compressed(folder: RunFolder, tell: Tell) -> bool:
    try:
        done = list(map(compressed.compress, pruning.text_files(folder)))
    except OSError as error:
        tell(f"cannot compress {error.filename or folder.root}: {error.strerror}")
        return False
    return any(done)


def _expendable(night: Night) -> Iterator[RunFolder]:
    for series in night.series:
        if series.accepted or series.judgement.verdict == "regressed":
            continue
        for run in series.runs:
            folder = RunFolder(runs() / run.result)
            if run.result and not rows.tags(folder):
                yield folder


def _shrink(folder: RunFolder) -> bool:
    paths = pruning.large(folder)
    pruning.remove(paths)
    return bool(paths)


def _remove_session(name: str) -> None:
    """Remove the journal and the log of a session; what it measured is in the night's file."""
    folder = sessions() / Path(name).name
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise MachineError(f"cannot remove {folder}: {error.strerror}") from None


def old_images(
    engine: images.StockEngine,
    table: ImageTable,
    nights: Sequence[Night],
    past: Past,
    limit: float,
    tell: Tell,
) -> list[str]:
    """Remove images that benchdock built and only old nights used, as long as ours take too much.

    `limit` is in bytes. Those of the last 14 nights, of a baseline, and of any other stored run are
    kept. Returns the names of those removed.
    """
    found = images.candidates(engine, table, results=_needed(nights, past))
    excess = sum(one.takes for one in found) - limit
    mine = {series.facts.get(_IMAGE) for night in nights for series in night.series}
    gone = []
    for one in found:
        if one.why or excess <= 0 or one.image.id not in mine:
            continue
        try:
            images.remove(one, engine)
        except BenchdockError as error:
            tell(f"cannot remove {one.name}: {error}")
            continue
        excess -= one.takes
        gone.append(one.name)
    return gone


def _needed(nights: Sequence[Night], past: Past) -> dict[str, str]:
    """Return the ids of images that must stay, each with what needs it."""
    of_nights = {run.result for night in nights for one in night.series for run in one.runs}
    needed = needs.images_of_runs(leave_out=of_nights)
    for key in past.entries:
        baseline = past.baseline(key)
        if baseline is not None:
            needed |= _image(baseline[1], f"the baseline of {key}")
    for night in nights[:IMAGES]:
        for series in night.series:
            needed |= _image(series, f"the night {night.night}")
    return needed


def _image(series: NightSeries, what: str) -> dict[str, str]:
    image = series.facts.get(_IMAGE)
    return {image: what} if image else {}
