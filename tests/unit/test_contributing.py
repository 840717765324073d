"""The lists of CONTRIBUTING.md and docs/adding-a-framework.md name everything that has to be added.

A toy is added to a copy of the program with the files that a list names, and used.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest

from orchestrator.paths import PROJECT

GUIDE = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FRAMEWORK = (PROJECT / "docs" / "adding-a-framework.md").read_text(encoding="utf-8")
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.[\w]+(?:\.j2)?|(?:[\w.-]+/)+Dockerfile)`")
TREE = ("orchestrator", "backends", "launchers", "dockerfiles")
# What stands for the new thing in a list -> something that is there, whose files must exist.
SIBLINGS = {
    "Add a parser": ("NAME", "timm"),
    "Add a vendor's program": ("NAME", "timm"),
    "Add an image": ("ID", "openvino-cpu"),
    "Add a model": ("NAME", "vgg19"),
}

PARSER = """
import re

from orchestrator.parsers import vendor
from orchestrator.parsers.vendor import NUMBER, Format, Rule

program = "toy"


def _rate(log, found):
    log.run.take("rate", found.number("rate"), found.line)
    log.stage = "done"


def _conclude(run, hints):
    run.headline(
        run.printed.get("rate"),
        estimator="total",
        missing="toys/s",
        scope="all_devices",
        names=("rate",),
    )


FORMAT = Format(
    program=program,
    rules=(Rule(b"toys/s", re.compile(rf"toys/s: (?P<rate>{NUMBER})"), _rate),),
    conclude=_conclude,
)


def Parser(hints):
    return vendor.Parser(FORMAT, hints)
"""
ROW = """
TOY = Framework(
    name="toy", title="Toy", ours=False, program="toy", launcher="toy",
    dtypes={("cpu", "training"): ("float32",)}, images={"cpu": "pytorch-cpu"},
    networks={"toynet": "toynet"}, vendor=VendorProgram(),
)
ENTRIES = (TOY, *ENTRIES)
"""
LAUNCHER = """{% extends "_vendor.sh.j2" %}
{% block program %}
{{ exec }} toybench --batch {{ batch }}
{% endblock %}
"""
BACKEND_ROW = """
TOY = Framework(
    name="toy", title="Toy", program="benchdock", launcher="toy", backend="backends.toy",
    options=_options("toy"), dtypes={("cpu", "training"): ("float32",)}, images={"cpu": "toy-cpu"},
)
ENTRIES = (*ENTRIES, TOY)
"""
BACKEND_LAUNCHER = """{% extends "_program.sh.j2" %}
{% block start -%}
{{ python }} -m backends.toy
{%- endblock %}
"""
IMAGE = """
[image.toy-cpu]
framework = "FRAMEWORK"
version = "1.0"
device = "cpu"
source = "build"
base = "debian:bookworm-slim"
python = "3.11"
machines = ["x86_64", "aarch64"]
lock = "requirements.lock"
"""


def section(title):
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", GUIDE, re.MULTILINE | re.DOTALL)
    return found[1]


def steps(title):
    return re.findall(r"^\d\. (.*?)(?=^\d\. |\Z)", section(title), re.MULTILINE | re.DOTALL)


def named_in_table(framework):
    """Return the files in the table for a framework."""
    found = []
    for cell in re.findall(r"^\| (`.*?) \|", FRAMEWORK, re.MULTILINE):
        names = re.findall(r"`([^`]+)`", cell)
        folder = names[0].rpartition("/")[0]
        # A bare name is beside the first one of its cell.
        paths = [name if "/" in name or not folder else f"{folder}/{name}" for name in names]
        found += [
            re.sub(r"\bF\b", framework, path.replace("_F.", f"_{framework}.")) for path in paths
        ]
    return found


@pytest.mark.parametrize("title", SIBLINGS)
def test_the_files_of_a_list_exist_for_what_is_there(title):
    placeholder, sibling = SIBLINGS[title]
    named = [path.replace(placeholder, sibling) for path in FILE.findall(" ".join(steps(title)))]
    assert len(named) >= 3
    assert [p for p in named if not (PROJECT / p).exists()] == []


@pytest.mark.parametrize("framework", ["pytorch", "mxnet", "tensorflow"])
def test_the_files_of_a_framework_exist(framework):
    named = named_in_table(framework)
    assert len(named) >= 14
    assert [path for path in named if not (PROJECT / path).exists()] == []


class Tree:
    """A copy of the program, to which only files that a list names are added."""

    def __init__(self, folder, allowed):
        self.folder, self.allowed = folder, set(allowed)
        for part in TREE:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(PROJECT / part, folder / part, ignore=ignored)

    def add(self, path, text):
        """Append to a file, or make it."""
        assert path in self.allowed, f"the list does not name {path}"
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as stream:
            stream.write(text)

    def replace(self, path, old, new):
        assert path in self.allowed, f"the list does not name {path}"
        file = self.folder / path
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new, 1), encoding="utf-8")

    def benchdock(self, *words, given=""):
        """Return what a command of the copy prints."""
        environment = os.environ | {
            "PYTHONPATH": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "BENCHDOCK_HOME": str(self.folder / "home"),
            "DOCKER_HOST": f"unix://{self.folder}/no.sock",
        }
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", *words],
            env=environment, cwd=self.folder, input=given, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def tree(tmp_path):
    def copy(title, name="toy"):
        placeholder = SIBLINGS[title][0]
        files = FILE.findall(" ".join(steps(title)))
        return Tree(tmp_path, [path.replace(placeholder, name) for path in files])

    return copy


def add_parser(tree):
    tree.add("orchestrator/parsers/toy.py", PARSER)
    tree.replace("orchestrator/log_formats.py", "LOG_FORMATS = (", 'LOG_FORMATS = (\n    "toy",')


@pytest.mark.slow
def test_a_parser_is_added_by_its_list(tree):
    toys = tree("Add a parser")
    add_parser(toys)
    assert "12.5" in toys.benchdock("parse", "toy", "-", given="hello\ntoys/s: 12.5\n")
    assert "toy" in toys.benchdock("parse", "-", "--explain", given="hello\ntoys/s: 12.5\n")


@pytest.mark.slow
def test_a_vendors_program_is_added_by_its_lists(tree):
    toys = tree("Add a vendor's program")
    toys.allowed |= {"orchestrator/parsers/toy.py", "orchestrator/log_formats.py"}
    add_parser(toys)
    toys.add("launchers/toy.sh.j2", LAUNCHER)
    toys.add("orchestrator/frameworks/other_programs.py", ROW)
    assert "toybench --batch 7" in toys.benchdock(
        "run", "toynet", "-f", "toy", "--dry-run", "--batch=7"
    )


@pytest.mark.slow
def test_an_image_is_added_by_its_list(tree):
    toys = tree("Add an image", "toy-cpu")
    recipe = (PROJECT / "dockerfiles" / "onnxruntime-cpu" / "Dockerfile").read_text()
    toys.add("dockerfiles/toy-cpu/Dockerfile", recipe)
    toys.add("dockerfiles/toy-cpu/requirements.lock", "numpy==2.3.0\n")
    toys.add("dockerfiles/images.toml", IMAGE.replace("FRAMEWORK", "onnxruntime"))
    assert re.search(r"^toy-cpu +onnxruntime +1\.0 ", toys.benchdock("images"), re.MULTILINE)


@pytest.mark.slow
def test_a_model_is_added_by_its_list(tree):
    toys = tree("Add a model")
    toys.replace(
        "backends/zoo/__init__.py",
        "_MODELS = OrderedDict(\n    [\n",
        "_MODELS = OrderedDict(\n    [\n"
        '        ("toy", _image(224, plain.vgg, depths=(1, 1, 1, 1, 1))),\n',
    )
    assert re.search(r"^toy +3x224x224 ", toys.benchdock("models"), re.MULTILINE)
    assert "--model=toy" in toys.benchdock("run", "toy", "-f", "pytorch", "--dry-run")


@pytest.mark.slow
def test_a_framework_is_added_by_its_page(tmp_path):
    toys = Tree(tmp_path, named_in_table("toy"))
    for name in ("__init__.py", "build.py", "step.py", "__main__.py"):
        toys.add(f"backends/toy/{name}", '"""A toy."""\n')
    toys.replace("backends/options.py", "BY_FRAMEWORK = {", 'BY_FRAMEWORK = {\n    "toy": (),')
    toys.add("launchers/toy.sh.j2", BACKEND_LAUNCHER)
    toys.add("dockerfiles/toy-cpu/Dockerfile", "ARG BASE=debian:bookworm-slim\nFROM ${BASE}\n")
    toys.add("dockerfiles/toy-cpu/requirements.lock", "numpy==2.3.0\n")
    toys.add("dockerfiles/images.toml", IMAGE.replace("FRAMEWORK", "toy"))
    toys.add("orchestrator/frameworks/ours.py", BACKEND_ROW)
    assert "toy" in toys.benchdock("frameworks", "toy")
    assert "-m backends.toy" in toys.benchdock("run", "vgg19", "-f", "toy", "--dry-run")
