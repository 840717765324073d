"""The pages for people: their links, commands and targets exist, and the index names each page."""

import fnmatch
import os
import re
import shlex
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from backends.harness import data
from backends.zoo import draw
from orchestrator.arguments.all import build_parser
from orchestrator.cli import main
from orchestrator.errors import RequestError
from orchestrator.frameworks.catalogue import FRAMEWORKS
from orchestrator.paths import PROJECT
from orchestrator.ui.words import rows
from tests.support import stand_in

INDEX = PROJECT / "docs" / "index.md"
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "dockerfiles/*.md", ".github/**/*.md")
    for page in PROJECT.glob(pattern)
)
FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
# What may stand before the command on a line: a prompt, the fields of a crontab, ssh.
BEFORE = re.compile(r"^(\$ |([\d*/,-]+ ){5}|sudo |nice |ssh \S+ |[A-Z_]+=\S+ )+")
INLINE = re.compile(r"`((?:\.venv/bin/)?benchdock [^`]+?)`", re.DOTALL)
REDIRECT = re.compile("[<>]+&?")
MAKE = re.compile(r"`make ([^`]+)`|^(?: {4,}|\$ )make (.+)$", re.MULTILINE)

DIGEST = re.compile("-[0-9a-f]{12}$", re.MULTILINE)  # of a tag; it changes with backends/
LABEL = len("runtime reason  ")  # the first column of a dry run

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))


def anchors(page):
    """Return what GitHub calls the headings of a page: lower case, words joined by hyphens."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in headings}


def links(page):
    """Return (file, anchor) of each link to a file of this repository."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [link.partition("#") for link in LINK.findall(text) if "://" not in link]
    return [(page.parent / file if file else page, anchor) for file, _, anchor in targets]


def code_lines(text):
    """Return the lines of code blocks that can be typed: behind a prompt, or in an indented block.

    Lines that a backslash continues are joined.
    """
    text = re.sub(r"\\\n\s*", "", text)
    fenced = "\n".join(re.findall(r"^ *\$ .*$", "\n".join(FENCE.findall(text)), re.MULTILINE))
    indented = "\n".join(re.findall(r"^ {4,}(\S.*)$", FENCE.sub("", text), re.MULTILINE))
    return f"{fenced}\n{indented}".splitlines()


def simple_commands(line):
    """Return the words of each command of a shell line."""
    line = re.sub(r"<[a-z ]+>", "X", BEFORE.sub("", line.strip()))  # <this repository>
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # prose or output, with an apostrophe
        return []
    commands: list[list[str]] = [[]]
    for before, word in pairwise(["", *words]):
        if set(word) <= set("();|&"):
            commands.append([])
        elif not (REDIRECT.fullmatch(word) or REDIRECT.fullmatch(before)):
            commands[-1].append(word)
    return commands


def command_lines(text):
    """Return the words after `benchdock` in each command line of a page."""
    lines = [*code_lines(text), *(" ".join(span.split()) for span in INLINE.findall(text))]
    for line in lines:
        for words in simple_commands(line):
            if words and Path(words[0]).name == "benchdock":
                yield words[1:]


def filled(words):
    """Replace what a page leaves open: an ellipsis by nothing, a number N by one."""
    words = [word.strip("[]").rstrip(".…") if word != "." else word for word in words]
    return ["3" if word == "N" else word for word in words if word]


parser = cache(build_parser)


def problem(words):
    """Return why the command line cannot be parsed; None if it can."""
    only_named = (
        len(words) == 1
        or (len(words) == 2 and words[0] in ("results", "nightly", "data"))
        or {"...", "…"} & set(words)
    )
    try:
        parser().parse_args(filled(words))
    except RequestError as error:
        if not (only_named and re.search("(is|are) required", str(error))):
            return f"benchdock {shlex.join(words)}: {error}"
    except SystemExit:  # --help, --version
        pass
    return None


@pages
def test_links_lead_to_files_and_headings(page):
    broken = [
        f"{file.resolve()}#{anchor}"
        for file, anchor in links(page)
        if not file.exists() or (anchor and anchor not in anchors(file))
    ]
    assert broken == []


@pytest.mark.slow
@pages
def test_every_command_line_can_be_typed(page):
    text = page.read_text(encoding="utf-8")
    assert [why for words in command_lines(text) if (why := problem(words))] == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("    benchdock rum resnet50", "did you mean 'run'"),
        ("    $ .venv/bin/benchdock run resnet50 -f pytorch --bath 8 | tee log", "--batch"),
        ("    0 2 * * * ~/b/benchdock results --lst 5 > log", "--last"),
        ("see `benchdock parse\n--explian LOG`", "--explain"),
        ("```\n$ benchdock compare \\\n  A B --agianst C\n```", "--against"),
    ],
)
def test_a_wrong_command_line_is_found(line, said):
    (words,) = command_lines(line)
    assert said in problem(words)


@pages
def test_every_make_target_exists(page):
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    named = {(a or b).split()[0] for a, b in MAKE.findall(page.read_text(encoding="utf-8"))}
    assert {re.sub(r"^image-.*", "images", word) for word in named} <= targets


def test_the_index_links_to_every_page():
    linked = {file.resolve() for file, _ in links(INDEX)}
    pages = {page for page in (PROJECT / "docs").glob("**/*.md") if page != INDEX}
    assert pages <= linked


@pages
def test_every_option_belongs_to_a_program(page):
    named = set(re.findall(r"--option (\w+)=?", page.read_text(encoding="utf-8")))
    every = [one for row in FRAMEWORKS.values() for one in (row, *row.variants.values())]
    known = {name for row in every for name in (*row.options, row.variant_option)}
    assert named <= known | {"NAME", "KEY", "flag"}


@pytest.mark.parametrize("page", ["README.md", "docs/first-gpu-server.md"])
def test_a_dry_run_on_a_page_is_what_is_printed(page, tmp_path, monkeypatch, capsys):
    """The machine file is the one that docs/machines.md shows."""
    machines = (PROJECT / "docs" / "machines.md").read_text(encoding="utf-8")
    file = re.search(r'^    \{"schema": 1,\n.*?(?=\n\n)', machines, re.MULTILINE | re.DOTALL)
    (tmp_path / "server.json").write_text(file[0])
    monkeypatch.chdir(tmp_path)
    text = (PROJECT / page).read_text(encoding="utf-8")
    (block,) = (one for one in FENCE.findall(text) if "--machine server.json" in one)
    fence, command, *shown, _ = block.splitlines()
    indent = fence[: -len("```")]
    assert main(shlex.split(command)[2:]) == 0
    labels = {line.removeprefix(indent)[:LABEL] for line in shown}
    out = DIGEST.sub("", capsys.readouterr().out)
    printed = [line for line in out.splitlines() if line[:LABEL] in labels]
    new = "\n".join((fence, command, *(indent + line for line in printed), fence))
    if os.environ.get("BENCHDOCK_UPDATE_GOLDEN"):
        (PROJECT / page).write_text(text.replace(block, new), encoding="utf-8")
    else:
        assert len(shown) > 5
        assert block == new, "BENCHDOCK_UPDATE_GOLDEN=1 rewrites it"


def test_a_first_release_has_only_added():
    changes = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    first = re.split(r"^## .*", changes, flags=re.MULTILINE)[-1]
    assert re.findall(r"^### (.+)$", first, re.MULTILINE) == ["Added"]


def test_the_readme_leads_to_the_index():
    assert INDEX.resolve() in {file.resolve() for file, _ in links(PROJECT / "README.md")}


def test_the_example_of_a_dataset_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (PROJECT / "docs" / "data.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    exec(code, {})
    source = data.Folder("digits", draw("deep_mnist"), 8)
    x, y = source.next()
    source.close()
    assert (x.shape, y.shape) == ((8, 1, 28, 28), (8,))


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", ["good", "nan"])
def test_every_line_of_a_summary_is_explained(behaviour, tmp_path):
    page = (PROJECT / "docs" / "reading-a-result.md").read_text(encoding="utf-8")
    with stand_in.home(tmp_path):
        result, _ = stand_in.run(behaviour)
    labels = {label for label, _ in rows(result, ("the end",))}
    assert (result.status == "ok") == (behaviour == "good")
    assert labels <= set(re.findall(r"^\| `([a-z ]+)` \|", page, re.MULTILINE))


class TestVendorPrograms:
    """The tables of docs/vendor-programs.md, written by hand, agree with the rows."""

    PAGE = (PROJECT / "docs" / "vendor-programs.md").read_text(encoding="utf-8")
    TABLE = re.compile(r"^\| id \| where .*\n\|[-|]+\n((?:\|.*\n)+)", re.MULTILINE)
    ENTRIES = tuple(
        [cell.strip() for cell in line.strip("|").split("|")]
        for table in TABLE.findall(PAGE)
        for line in table.splitlines()
    )

    def test_they_have_every_program(self):
        listed = [cells[0].strip("`") for cells in self.ENTRIES]
        assert sorted(listed) == sorted(
            row.name for row in FRAMEWORKS.values() if row.program != "benchdock"
        )

    def test_every_table_names_programs_that_exist(self):
        first = re.findall(r"^\| (`[^|]+`) \|", self.PAGE, re.MULTILINE)
        names = {name for cell in first for name in re.findall(r"`([^`]+)`", cell)}
        assert len(names) > len(self.ENTRIES)
        assert {name for name in names if not fnmatch.filter(FRAMEWORKS, name)} == set()

    @pytest.mark.parametrize("cells", ENTRIES, ids=lambda cells: cells[0])
    def test_devices_and_phases_are_those_of_the_row(self, cells):
        framework = FRAMEWORKS[cells[0].strip("`")]
        devices, _, phases = cells[2].partition("; ")
        if devices != "all":
            assert {word.lower() for word in re.findall("CPU|GPU", devices)} == {
                device for device, _ in framework.dtypes
            }
            assert ("one GPU" in devices) == ("GPU" in devices and not framework.multi_gpu)
            told = {"both": {"training", "inference"}}.get(phases.split()[0], {phases})
            assert told == {phase for _, phase in framework.dtypes}

    @pytest.mark.parametrize("index", range(len(ENTRIES)))
    def test_the_default_images_are_those_of_the_row(self, index):
        name, *_, images = self.ENTRIES[index]
        if images == "the same":
            images = self.ENTRIES[index - 1][-1]
        framework = FRAMEWORKS[name.strip("`")]
        named = set(re.findall(r"`([a-z][\w-]+)`", images.replace("`--image`", "")))
        assert named == set(framework.images.values())
