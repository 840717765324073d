"""The tables of models and frameworks in docs/models.md and the README are what the code says."""

from orchestrator.models_page import page, support
from orchestrator.paths import PROJECT


def test_the_page_is_up_to_date():
    shown = (PROJECT / "docs" / "models.md").read_text(encoding="utf-8")
    assert shown == page(), "run `benchdock models --markdown > docs/models.md`"


def test_the_readme_shows_what_each_framework_does():
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert support() in readme, "copy the table from docs/models.md"
