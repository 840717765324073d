"""Where the pages of a report are: in files beside each other, or in sections of one file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from orchestrator.paths import slug


@dataclass(frozen=True, kw_only=True)
class Links:
    """Addresses of pages. `root` leads from a page to the folder of the site.

    runs: the runs that have a page. single: whether all pages are sections of one file.
    """

    root: str = ""
    single: bool = False
    runs: Collection[str] = ()

    def page(self, name: str) -> str:
        """Return the address of a page by its name, such as `series/KEY`."""
        return f"#{name.replace('/', '-')}" if self.single else f"{self.root}{name}.html"

    def night(self) -> str:
        """Return the address of the night."""
        return self.page("index")

    def series(self, key: str) -> str:
        """Return the address of a series."""
        return self.page(f"series/{slug(key)}")

    def run(self, name: str) -> str:
        """Return the address of a run that has a page."""
        return self.page(f"run/{slug(name)}")

    def has_run(self, name: str) -> bool:
        """Whether a run has a page."""
        return name in self.runs
