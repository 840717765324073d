"""docs/models.md is what the code says."""

from orchestrator.models_page import page
from orchestrator.paths import PROJECT


def test_the_page_is_up_to_date():
    shown = (PROJECT / "docs" / "models.md").read_text(encoding="utf-8")
    assert shown == page(), "run `benchdock models --markdown > docs/models.md`"
