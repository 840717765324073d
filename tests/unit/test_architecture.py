"""docs/architecture.md: its picture is readable and true, and its tree is that of the code."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from orchestrator.paths import PROJECT
from tests.support.module_tree import tree

PAGE = PROJECT / "docs" / "architecture.md"
PICTURE = PAGE.with_suffix(".svg")
SVG = "{http://www.w3.org/2000/svg}"
TREE = re.compile(r"(?<=^```text\n)orchestrator/\n.*?(?=\n```$)", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def picture() -> ElementTree.Element:
    return ElementTree.parse(PICTURE).getroot()


def test_the_picture_names_folders_that_exist(picture: ElementTree.Element) -> None:
    groups = [group for group in picture.iter() if "data-path" in group.attrib]
    paths = [group.attrib["data-path"] for group in groups]
    missing = [path for path in paths if not (PROJECT / path).is_dir()]
    assert (missing, len(set(paths))) == ([], len(paths))
    for group, path in zip(groups, paths, strict=True):
        shown = [text.text or "" for text in group.iter(f"{SVG}text")]
        assert shown[0].startswith(f"{path.rpartition('/')[2]}/"), path


def test_the_picture_names_every_backend(picture: ElementTree.Element) -> None:
    drawn = {group.attrib["data-path"] for group in picture.iter() if "data-path" in group.attrib}
    there = {path.parent.name for path in (PROJECT / "backends").glob("*/__init__.py")}
    assert {f"backends/{name}" for name in there - {"stand_ins"}} <= drawn


def test_every_name_in_the_picture_that_is_a_folder_is_checked(
    picture: ElementTree.Element,
) -> None:
    names = [text for text in picture.iter(f"{SVG}text") if text.get("class") == "name"]
    folders = {(text.text or "").rstrip("/") for text in names if (text.text or "").endswith("/")}
    paths = [group.attrib["data-path"] for group in picture.iter() if "data-path" in group.attrib]
    assert folders == {path.rpartition("/")[2] for path in paths} - {"run"}  # a frame's title


def test_the_picture_is_read_in_light_and_dark_and_aloud(picture: ElementTree.Element) -> None:
    style = picture.findtext(f"{SVG}style") or ""
    light, _, dark = style.partition("@media (prefers-color-scheme: dark)")
    used = {word for one in picture.iter() for word in one.get("class", "").split()}
    coloured = set(re.findall(r"\.(\w+)[^{}]*\{[^}]*(?:fill|stroke): #", light))
    assert len(used & coloured) >= 6
    for name in used & coloured:
        assert f".{name}" in dark, f"{name} has no colour in dark"
    labels = (picture.get("aria-labelledby") or "").split()
    said = {one.get("id"): one.text for one in picture.iter() if one.get("id") in labels}
    assert len(said) == 2
    assert all(said.values())


def test_the_page_shows_the_picture_with_a_text_for_those_who_do_not_see_it() -> None:
    found = re.search(r"!\[([^\]]{80,})\]\(architecture\.svg\)", PAGE.read_text("utf-8"))
    assert found is not None


@pytest.mark.slow
def test_the_tree_is_that_of_the_code() -> None:
    text, drawn = PAGE.read_text("utf-8"), tree(PROJECT / "orchestrator")
    if os.environ.get("BENCHDOCK_UPDATE_GOLDEN"):
        PAGE.write_text(TREE.sub(lambda _: drawn, text), encoding="utf-8")
        text = PAGE.read_text("utf-8")
    (listed,) = TREE.findall(text)
    assert listed == drawn, "BENCHDOCK_UPDATE_GOLDEN=1 pytest tests/unit/test_architecture.py"


def test_a_tree_has_two_levels_and_what_each_module_says_of_itself(tmp_path: Path) -> None:
    for path, text in {
        "top/__init__.py": '"""Top."""',
        "top/a/__init__.py": '"""Package.\n\nMore.\n"""',
        "top/a/deep/__init__.py": '"""Deep."""',
        "top/a/deep/deeper.py": "",
        "top/a/one.py": '"""One\ntwo."""',
        "top/last.py": "",
        "top/data/x.txt": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert tree(tmp_path / "top").splitlines() == [
        "top/",
        "  a/                         Package.",
        "    deep/                    Deep.",
        "    one.py                   One two.",
        "  last.py",
    ]
