"""Fetches images in the background, in the order of need, so that no run waits for the network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from orchestrator.errors import BenchdockError
from orchestrator.suites.decisions import Need

Pull = Callable[[str], object]
Tell = Callable[[str], None]


class Fetcher:
    """Pulls the missing images of registries, one after the other, in a thread of its own.

    An image that is built here is not built in the background: that would take the CPUs of what is
    being measured. `pull` gets an image's name and raises BenchdockError.
    """

    def __init__(self, needs: Iterable[Need], pull: Pull, tell: Tell) -> None:
        wanted = [need.image for need in needs if not need.here and not need.built]
        self._done = {image: threading.Event() for image in wanted}
        self._pull = pull
        self._tell = tell
        if wanted:
            threading.Thread(target=self._fetch, name="images", daemon=True).start()

    def wait(self, need: Need | None) -> None:
        """Return when an image has been fetched, or could not be; the run then tries itself."""
        event = self._done.get(need.image) if need is not None else None
        if event is not None and not event.is_set():
            self._tell(f"waiting for the image {need.reference if need else ''}")
            event.wait()

    def is_over(self, need: Need | None) -> bool:
        """Whether an image has been fetched, could not be, or need not be."""
        event = self._done.get(need.image) if need is not None else None
        return event is None or event.is_set()

    def _fetch(self) -> None:
        for image, event in self._done.items():
            try:
                self._pull(image)
            except BenchdockError as error:
                self._tell(f"cannot fetch {image}: {error}")
            finally:
                event.set()
