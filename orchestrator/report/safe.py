"""Makes text from results safe for a page: it is shown as it is, and does nothing."""

from __future__ import annotations

from markupsafe import Markup, escape

from orchestrator.ui.text import clean


def safe(text: str) -> Markup:
    """Return text for HTML, without control characters and such as turn text around."""
    return escape(clean(text))


def finalized(value: object) -> object:
    """Return what a template prints: all text but our own HTML is cleaned."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
