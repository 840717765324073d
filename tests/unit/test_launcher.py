"""Scripts are compared completely, checked by shellcheck, and run on this machine."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Environment, FileSystemLoader, UndefinedError

from orchestrator.errors import RequestError
from orchestrator.parity.plan import ParityContext
from orchestrator.paths import LAUNCHERS
from orchestrator.run import launcher
from orchestrator.run.launcher import check_template, quote, render
from tests.support.launcher_cases import CASES, GOLDEN, NASTY, PARITY, PLAIN


@pytest.fixture(params=CASES)
def case(request):
    return request.param


def test_golden(case):
    script = render(case.split("-")[0], CASES[case])  # named after the framework
    golden = GOLDEN / f"{case}.sh"
    if os.environ.get("BENCHDOCK_UPDATE_GOLDEN") == "1":
        golden.write_text(script, encoding="utf-8")
    assert script == golden.read_text(encoding="utf-8"), "BENCHDOCK_UPDATE_GOLDEN=1 rewrites it"


@pytest.mark.slow
def test_bash_and_shellcheck_agree_with_every_golden_script(case):
    golden = GOLDEN / f"{case}.sh"
    subprocess.run(["bash", "-n", golden], check=True)
    shellcheck = Path(sys.executable).with_name("shellcheck")
    if not shellcheck.exists():
        pytest.skip("shellcheck is not in this virtual environment; `make setup` installs it")
    subprocess.run([shellcheck, "--enable=all", "--exclude=SC2250,SC2310", golden], check=True)


def test_every_golden_script_has_a_case():
    assert {path.stem for path in GOLDEN.glob("*.sh")} == set(CASES)


# What is run in place of Python: it writes its arguments and environment, then does as it is told.
PROGRAM = """#!/bin/bash
printf '%s\\0' "$@" > "$STUB/argv"
printf '%s\\0' "$PWD" "$PYTHONPATH" "$A" "${OMP_NUM_THREADS:-}" "$HOME" "$USER" \\
  > "$STUB/environment"
echo $$ > "$STUB/pid"
eval "$DO"
"""


class Host:
    """Runs launcher scripts on this machine with a stub for Python."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work_folder = root / "run ' folder"
        self.work_folder.mkdir()
        self.log = self.work_folder / "log.txt"
        self.python = root / "stub python"
        self.python.write_text(PROGRAM)
        self.python.chmod(0o755)

    def context(self, **changes):
        given = {"work_folder": self.work_folder, "log": self.log, "python": str(self.python)}
        return replace(PLAIN, **{**given, **changes})

    def start(self, context, do=":", **environment):
        script = self.work_folder / "launcher.sh"
        name = "parity" if isinstance(context, ParityContext) else "pytorch"
        script.write_text(render(name, context), encoding="utf-8")
        return subprocess.Popen(
            ["bash", script],
            env={**os.environ, "STUB": str(self.root), "DO": do, "PYTHONPATH": "", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, context, do=":", **environment):
        with self.start(context, do, **environment) as process:
            printed, _ = process.communicate(timeout=60)
        assert printed == b""
        return process.returncode

    def words(self, name):
        return (self.root / name).read_bytes().decode().split("\0")[:-1]


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_arguments(host):
    assert host.run(host.context()) == 0
    assert host.words("argv") == [
        "-m",
        "backends.pytorch",
        "--model=resnet50",
        "--phase=training",
        "--dtype=float32",
        "--batch=8",
        "--device=cpu",
        "--devices=1",
        "--steps=20",
        "--warmup=3",
        "--threads=4",
        "--seed=0",
    ]


def test_several_devices_are_several_ranks(host):
    assert host.run(host.context(devices=4)) == 0
    words = host.words("argv")
    assert words[:4] == ["-m", "backends.harness.ranks", "4", "backends.pytorch"]
    assert words[4] == "--model=resnet50"


@pytest.mark.parametrize(
    ("statuses", "expected"), [((0, 0, 0), 0), ((0, 1, 0), 1), ((139, 1, 0), 139), ((1, 0, 70), 70)]
)
def test_parity_goes_on_behind_a_model_and_the_worst_status_counts(host, statuses, expected):
    context = replace(PARITY, work_folder=host.work_folder, log=host.log, python=str(host.python))
    models = dict(zip(PARITY.models, statuses, strict=True))
    do = 'echo "${@: -1}"; case "${@: -1}" in '
    do += " ".join(f"{name}) exit {code};;" for name, code in models.items()) + " esac"
    assert host.run(context, do) == expected
    assert host.log.read_text().split() == list(PARITY.models)


TEXT = st.text(
    st.characters(exclude_categories=("Cc", "Cs")) | st.sampled_from("'\"\\$`!*?[]{}()<>|&;~# -=%")
)


@pytest.mark.slow
@settings(max_examples=40)
@given(text=TEXT, other=TEXT)
def test_any_text_arrives_as_it_was_typed(tmp_path_factory, text, other):
    host = Host(tmp_path_factory.mktemp("host"))
    context = host.context(
        run_id=text,
        model=other,
        data=PurePosixPath("/" + text),
        options={"a": text, "b": other},
        environment={"A": text},
        module_path=(PurePosixPath("/" + other.replace(":", "")),),
    )
    assert host.run(context) == 0
    words = host.words("argv")
    assert f"--model={other}" in words
    assert f"--data={PurePosixPath('/' + text)}" in words
    assert [word for word in words if word.startswith("--option=")] == [
        f"--option=a={text}",
        f"--option=b={other}",
    ]
    folder, search_path, variable, *_ = host.words("environment")
    assert folder == str(host.work_folder)
    assert search_path == str(context.module_path[0])
    assert variable == text


@pytest.mark.parametrize("text", ["-rf", "--", NASTY, "$'\\n'", "!!", "~", "", "\\", "'"])
def test_nasty_text_arrives_and_runs_nothing(host, text):
    assert host.run(host.context(model=text, environment={"A": text})) == 0
    assert f"--model={text}" in host.words("argv")
    assert host.words("environment")[2] == text
    assert not list(host.root.rglob("pwned"))


@pytest.mark.parametrize("words", [("env",), ("env", "X=1"), ("env", f"X={NASTY}", "nice")])
def test_a_prefix_starts_the_program_and_its_words_are_no_shells(host, words):
    do = 'printf %s "${X-unset}" > "$STUB/X"'
    assert host.run(host.context(prefix=words), do) == 0
    assert host.words("argv")[:2] == ["-m", "backends.pytorch"]
    expected = {1: "unset", 2: "1", 3: NASTY}[len(words)]
    assert (host.root / "X").read_text() == expected
    assert not list(host.root.rglob("pwned"))


@pytest.mark.parametrize("code", [0, 1, 3, 137])
def test_the_exit_code_is_the_programs(host, code):
    assert host.run(host.context(), do=f"exit {code}") == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_signals_reach_the_program_itself(host, number):
    with host.start(host.context(), do="echo ready; exec sleep 60") as process:
        deadline = time.monotonic() + 30
        while not (host.log.exists() and b"ready" in host.log.read_bytes()):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert int((host.root / "pid").read_text()) == process.pid
        process.send_signal(number)
        assert process.wait(30) == -number


def test_every_byte_of_both_streams_is_in_the_log(host):
    junk = bytes(range(256)) * 40 + b"\r10%\r20%\r\n\0\xff\xfe" + b"x" * 40_000
    (host.root / "junk").write_bytes(junk)
    host.log.write_bytes(b"before\n")
    do = 'cat "$STUB/junk"; cat "$STUB/junk" >&2; printf last'
    assert host.run(host.context(), do=do) == 0
    assert host.log.read_bytes() == b"before\n" + junk + junk + b"last"


def test_an_images_own_module_path_is_kept(host):
    assert host.run(host.context(), PYTHONPATH="/of/the image") == 0
    assert host.words("environment")[1] == "/opt/benchdock:/of/the image"


def test_threads_are_left_alone_if_nothing_was_said(host):
    assert host.run(host.context(threads=None), OMP_NUM_THREADS="3") == 0
    assert host.words("environment")[3] == "3"
    assert host.run(host.context(threads=2), OMP_NUM_THREADS="3") == 0
    assert host.words("environment")[3] == "2"
    context = host.context(threads=2, environment={"OMP_NUM_THREADS": "5"})
    assert host.run(context) == 0
    assert host.words("environment")[3] == "5"


def test_a_home_that_is_not_there_is_replaced(host):
    assert host.run(host.context(), HOME="/nonexistent", TMPDIR=str(host.root)) == 0
    home = Path(host.words("environment")[4])
    assert home.is_dir()
    assert home.parent == host.root
    assert host.run(host.context(), HOME=str(host.root)) == 0
    assert host.words("environment")[4] == str(host.root)


def test_a_user_id_without_a_name_gets_one(host):
    if os.geteuid() != 0:
        pytest.skip("only root can become a user without a name")
    for path in (host.root, host.work_folder):
        path.chmod(0o777)
    scratch = Path(tempfile.gettempdir())
    for parent in host.root.parents:
        if scratch in parent.parents:
            parent.chmod(0o755)
    script = host.work_folder / "launcher.sh"
    script.write_text(render("pytorch", host.context()), encoding="utf-8")
    subprocess.run(
        ["bash", script],
        user=54321,
        group=54321,
        extra_groups=[],
        env={"PATH": os.environ["PATH"], "STUB": str(host.root), "DO": ":", "HOME": "/", "A": ""},
        check=True,
    )
    home, user = host.words("environment")[4:6]
    assert user == "benchdock"
    assert home != "/"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"model": "a\nb"}, "model"),
        ({"run_id": "a\0b"}, "run_id"),
        ({"data": PurePosixPath("/a\x1b[31m")}, "data"),
        ({"options": {"a": "b\tc"}}, "options a"),
        ({"options": {"a\n": "b"}}, "options"),
        ({"options": {"": "b"}}, "option name"),
        ({"options": {"-x": "b"}}, "option name"),
        ({"options": {"a=b": "c"}}, "option name"),
        ({"environment": {"A": "b\x7f"}}, "environment A"),
        ({"environment": {"1A": "b"}}, "variable name"),
        ({"environment": {"A-B": "b"}}, "variable name"),
        ({"model": "a\udcff"}, "model"),
        ({"module_path": (PurePosixPath("/a:b"),)}, "module_path"),
        ({"module_path": (PurePosixPath("/a\x85b"),)}, "module_path"),
    ],
)
def test_what_no_script_can_hold_is_refused_by_name(changes, name):
    with pytest.raises(RequestError, match=name) as caught:
        replace(PLAIN, **changes)
    assert len(str(caught.value).splitlines()) == 1


def test_values_are_quoted_once_and_macros_not_again():
    assert quote(quote("a b")) == "'a b'"
    assert quote(["a b", 1, PurePosixPath("/c d")]) == "'a b' 1 '/c d'"
    assert shlex.split(quote([NASTY, ""])) == [NASTY, ""]


@pytest.mark.parametrize("value", [None, True, {"a": 1}, object()])
def test_what_has_no_one_way_to_be_written_is_a_bug_of_the_template(value):
    with pytest.raises(TypeError):
        quote(value)


@pytest.mark.parametrize(
    "source",
    [
        "{{ model|safe }}",
        "{{ model|upper }}",
        "{{ 'x' ~ model }}",
        "{{ 'x' + model }}",
        "{{ '%s' % model }}",
        "{{ '{}'.format(model) }}",
        "{% autoescape false %}{{ model }}{% endautoescape %}",
        "{% filter upper %}{{ model }}{% endfilter %}",
        "{% set x = model|join %}{{ x }}",
    ],
)
def test_what_could_carry_a_value_past_the_quoting_is_refused(source):
    with pytest.raises(TypeError):
        check_template(Environment().parse(source))


@pytest.mark.parametrize("path", sorted(LAUNCHERS.glob("*.j2")), ids=lambda path: path.name)
def test_no_template_writes_a_value_inside_quotes(path):
    """A value brings its own quotes: inside others it would be taken apart."""
    source = path.read_text(encoding="utf-8")
    check_template(Environment().parse(source))
    for line in source.splitlines():
        outside = line
        for mark in ('"', "'"):
            parts = outside.split(mark)
            assert not any("{{" in part and "}}" in part for part in parts[1::2]), line


def test_the_mpirun_macro():
    environment = Environment(autoescape=True, finalize=quote, trim_blocks=True)
    environment.loader = FileSystemLoader(LAUNCHERS)
    source = '{% from "_macros.sh.j2" import mpirun %}{{ mpirun(4, ["A", "B"]) }}'
    assert shlex.split(environment.from_string(source).render()) == [
        *["mpirun", "--allow-run-as-root", "--tag-output", "--bind-to", "none", "-np", "4"],
        *["-x", "A", "-x", "B"],
    ]


def test_a_template_that_needs_what_nobody_gave_does_not_render(tmp_path, monkeypatch):
    (tmp_path / "odd.sh.j2").write_text("{{ absent }}\n")
    monkeypatch.setattr(launcher, "LAUNCHERS", tmp_path)
    launcher._environment.cache_clear()
    try:
        with pytest.raises(UndefinedError, match="absent"):
            render("odd", PLAIN)
    finally:
        launcher._environment.cache_clear()


# -- the code of templates -----------------------------------------------------------------


@pytest.fixture
def templates(tmp_path, monkeypatch):
    """A folder with one template, and a way to render it as a new process would."""
    monkeypatch.setattr(launcher, "LAUNCHERS", tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)

    def render(text):
        (tmp_path / "a.sh.j2").write_text(text)
        launcher._environment.cache_clear()
        return launcher.rendered("a.sh.j2", {"x": "a b"})

    yield render
    launcher._environment.cache_clear()


def test_the_code_of_a_template_is_kept_beside_it(templates, tmp_path, monkeypatch):
    assert templates("run {{ x }}") == "run 'a b'"
    assert [path.name for path in (tmp_path / "__pycache__").iterdir()] == [
        f"a.sh.j2.{sys.implementation.cache_tag}"
    ]

    def never(*_args, **_named):
        raise AssertionError("it is compiled again")

    monkeypatch.setattr(launcher._CheckedEnvironment, "compile", never)
    assert templates("run {{ x }}") == "run 'a b'"


def test_another_template_of_the_same_name_is_compiled_and_checked(templates):
    templates("run {{ x }}")
    assert templates("go {{ x }}") == "go 'a b'"
    with pytest.raises(TypeError, match="Filter is not allowed"):
        templates("go {{ x | upper }}")


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"spoilt"), None])
def test_a_template_renders_without_its_kept_code(templates, tmp_path, monkeypatch, spoil):
    folder = tmp_path / "__pycache__"
    if spoil is None:
        folder.write_text("not a folder")
    else:
        templates("run {{ x }}")
        spoil(next(folder.iterdir()))
    assert templates("run {{ x }}") == "run 'a b'"


def test_no_code_is_kept_where_python_keeps_none(templates, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    templates("run {{ x }}")
    assert not (tmp_path / "__pycache__").exists()
