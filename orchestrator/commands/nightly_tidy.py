"""What `benchdock nightly run` removes after a night."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.errors import BenchdockError
from orchestrator.nightly import retention
from orchestrator.nights.past import Past
from orchestrator.nights.record import Night
from orchestrator.units import counted


def tidy(
    nights: Sequence[Night],
    tonight: Night,
    past: Past,
    disk: float | None,
    tell: retention.Tell,
) -> None:
    """Remove what old nights left; `disk` is what images and results may take, in bytes.

    `nights` are the earlier ones, newest first.
    """
    count = retention.old_runs(nights, tonight.number, tell)
    if count:
        tell(f"removed the logs of {counted(count, 'run')} of {retention.LOGS} nights ago")
    count = retention.compress(nights, tonight.number, tell)
    if count:
        tell(f"compressed the logs of {counted(count, 'run')} of {retention.COMPRESSED} nights ago")
    if disk is None:
        return
    try:
        gone = _images([tonight, *nights], past, disk, tell)
    except BenchdockError as error:  # no engine, or one that is busy: the next night tries again
        tell(f"no image was removed: {error}")
        return
    if gone:
        tell(f"removed images that only old nights used: {', '.join(gone)}")


def _images(nights: Sequence[Night], past: Past, disk: float, tell: retention.Tell) -> list[str]:
    from orchestrator.images import image_table, pruning
    from orchestrator.runtimes.docker.client import Engine

    table = image_table.load()
    with Engine.connect() as engine, pruning.without_builds(table, lambda event: tell(event.text)):
        return retention.old_images(engine, table, nights, past, disk, tell)
