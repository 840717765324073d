"""Following an execution to its end, with a runtime that does as requested."""

import gc
import os
import signal
from contextlib import contextmanager

import pytest

from orchestrator.errors import BenchdockError, EngineError, Interrupted
from orchestrator.parsers.contract import Progress
from orchestrator.paths import RunFolder
from orchestrator.plan import Limits, Timeouts
from orchestrator.run import following
from orchestrator.run.runner import StageClock, execute
from orchestrator.runtimes.contract import Exit
from tests.fakes import plan

BEGIN = (
    b'::benchdock {"event":"begin","framework":"f","model":"alexnet","phase":"training",'
    b'"dtype":"float32","batch":1,"devices":1,"steps":2}\n'
)
STEPS = b'::benchdock {"event":"steps","first":0,"seconds":[1.0,1.0],"samples":1}\n'
END = b'::benchdock {"event":"end","samples":2,"seconds":2.0}\n'


class View:
    """Remembers what it was told."""

    def __init__(self):
        self.stages: list[str] = []
        self.notes: list[str] = []
        self.blocks: list[bytes] = []
        self.seen: list[Progress] = []

    def stage(self, text):
        self.stages.append(text)

    def note(self, text):
        self.notes.append(text)

    def output(self, block):
        self.blocks.append(block)

    def progress(self, progress):
        self.seen.append(progress)

    def result(self, result):
        raise AssertionError("the runner shows no result")

    def close(self):
        raise AssertionError("the runner does not close the view")


class Script:
    """A runtime whose execution takes one item of a script at each wait.

    bytes are appended to the log, an Exit ends it, an exception is raised.
    """

    name = "script"

    def __init__(self, folder, *items, stopped=None):
        self.folder, self.items = folder, list(items)
        self.stopped_with = stopped or Exit(code=143)
        self.log, self.gone = [], False

    @contextmanager
    def start(self, plan, *, run_id):
        self.log.append(f"start {run_id}")
        try:
            yield self
        finally:
            self.gone = True

    def wait(self, timeout):
        item = self.items.pop(0) if self.items else None
        match item:
            case bytes():
                with self.folder.log.open("ab") as stream:
                    stream.write(item)
            case BaseException():
                raise item
        return item if isinstance(item, Exit) else None

    def stop(self, grace):
        self.log.append("stop")
        with self.folder.log.open("ab") as stream:
            stream.write(b"last words\n")
        return self.stopped_with

    def collect_output(self, destination, limit):
        destination.write_bytes(b"banner")

    def root(self):
        return None

    def notes(self):
        return ("a limit was dropped",)


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path)


def run(folder, *items, timeouts=None, stages=None, **script):
    view = View()
    runtime = Script(folder, *items, **script)
    seen = stages if stages is not None else []
    outcome = execute(
        plan(program="benchdock", timeouts=timeouts or Timeouts()),
        runtime,
        folder,
        view,
        StageClock(view),
        on_progress=lambda now: seen.append(now.stage),
    )
    assert runtime.gone
    return outcome, view, runtime


def test_a_log_that_grows_is_measured(folder):
    stages: list[str] = []
    outcome, view, _ = run(folder, BEGIN, STEPS[:20], STEPS[20:] + END, Exit(code=0), stages=stages)
    assert outcome.failure is None
    assert outcome.measurement.metrics["throughput"].value == 1.0
    assert b"".join(view.blocks) == folder.log.read_bytes() == BEGIN + STEPS + END
    assert stages[-1] == "done"
    assert outcome.notes == ("a limit was dropped",)
    assert folder.engine_log.read_bytes() == b"banner"


@pytest.mark.parametrize("in_a_hurry", [False, True])
def test_garbage_is_collected_again_but_not_looked_for_in_modules(folder, in_a_hurry):
    if in_a_hurry:
        gc.disable()
    try:
        run(folder, BEGIN, STEPS + END, Exit(code=0))
        assert gc.isenabled()
        # A process that makes many runs must not keep the garbage of all of them.
        assert (gc.get_freeze_count() > 0) is in_a_hurry
    finally:
        gc.enable()
        gc.unfreeze()


@pytest.mark.parametrize(("runtime", "named"), [("docker", True), ("host", False)])
def test_a_limit_of_processes_is_blamed_where_it_holds(folder, runtime, named):
    script = Script(folder, b"fork: Resource temporarily unavailable\n", Exit(code=254))
    limited = plan(runtime=runtime, limits=Limits(pids=2))
    view = View()
    outcome = execute(limited, script, folder, view, StageClock(view))
    assert ("raise --pids" in outcome.failure.message) is named


def test_what_is_printed_at_the_very_end_is_not_lost(folder):
    class Late(Script):
        def wait(self, timeout):
            with self.folder.log.open("ab") as stream:
                stream.write(BEGIN + STEPS + END)
            return Exit(code=0)

    view = View()
    outcome = execute(plan(program="benchdock"), Late(folder), folder, view, StageClock(view))
    assert outcome.failure is None


def test_a_signal_stops_the_execution_and_what_it_printed_is_kept(folder):
    outcome, view, runtime = run(folder, BEGIN, Interrupted(signal.SIGTERM))
    assert outcome.failure.kind == "interrupted"
    assert outcome.signal_number == signal.SIGTERM
    assert runtime.log[-1] == "stop"
    assert b"last words" in folder.log.read_bytes()
    assert b"last words\n" in b"".join(view.blocks)


def test_a_clock_stops_the_execution(folder):
    outcome, _, runtime = run(folder, timeouts=Timeouts(total=0.001))
    assert outcome.failure.kind == "timeout"
    assert runtime.log[-1] == "stop"


def test_a_program_that_prints_without_pause_does_not_outrun_its_clock(folder, monkeypatch):
    monkeypatch.setattr(following, "SLICE", 1)
    outcome, _, _ = run(folder, *[b"x" * 100] * 50, timeouts=Timeouts(total=0.0001))
    assert outcome.failure.kind == "timeout"


def test_what_takes_long_to_read_does_not_outrun_the_clock_either(folder, monkeypatch):
    monkeypatch.setattr(following, "SLICE_SECONDS", 0.0)
    looks = []

    class Counting(View):
        def progress(self, progress):
            looks.append(len(self.blocks))

    script = Script(folder, (b"x" * 99 + b"\n") * 30_000, None, None, Exit(code=0))
    view = Counting()
    execute(plan(program="benchdock"), script, folder, view, StageClock(view))
    assert looks[:3] == [1, 2, 3]


def test_an_engine_that_is_gone_for_good_is_an_error_and_the_execution_is_left(folder):
    with pytest.raises(EngineError, match="gone"):
        run(folder, BEGIN, EngineError("gone"))


def test_a_container_that_cannot_be_removed_does_not_cost_the_measurement(folder):
    class Clinging(Script):
        @contextmanager
        def start(self, plan, *, run_id):
            yield self
            raise EngineError("container x stays")

    view = View()
    runtime = Clinging(folder, BEGIN + STEPS + END, Exit(code=0))
    outcome = execute(plan(program="benchdock"), runtime, folder, view, StageClock(view))
    assert outcome.failure is None
    assert "container x stays" in outcome.notes


def test_what_the_engine_kept_is_the_evidence_if_the_log_is_empty(folder):
    outcome, _, _ = run(folder, Exit(code=127))
    assert outcome.failure.kind == "crashed"
    assert outcome.failure.evidence == "banner"


def test_an_image_without_the_shell_is_named_by_what_its_init_program_said(folder):
    class Bare(Script):
        def collect_output(self, destination, limit):
            destination.write_bytes(
                b"[FATAL tini (6)] exec bash failed: No such file or directory\n"
            )

    view = View()
    runtime = Bare(folder, Exit(code=127))
    outcome = execute(plan(program="benchdock"), runtime, folder, view, StageClock(view))
    assert outcome.failure.kind == "image"
    assert outcome.failure.evidence.startswith("[FATAL tini")


def test_an_engine_that_keeps_the_run_folder_from_the_program_is_to_blame(folder):
    class Mapped(Script):
        def collect_output(self, destination, limit):
            destination.write_bytes(
                b"/benchdock/run/launcher.sh: line 28: /benchdock/run/log.txt: Permission denied\n"
            )

    view = View()
    runtime = Mapped(folder, Exit(code=1))
    outcome = execute(plan(program="benchdock"), runtime, folder, view, StageClock(view))
    assert outcome.failure.kind == "engine"
    assert "cannot write to its run folder" in outcome.failure.message
    assert outcome.failure.evidence.endswith("Permission denied")


def test_a_link_that_the_program_left_is_not_written_through(folder, tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    folder.engine_log.symlink_to(precious)
    run(folder, BEGIN + STEPS + END, Exit(code=0))
    assert precious.read_text() == "mine"
    assert folder.engine_log.read_bytes() == b"banner"


def test_output_that_cannot_be_kept_does_not_cost_the_measurement(folder):
    folder.engine_log.mkdir()
    outcome, _, _ = run(folder, BEGIN + STEPS + END, Exit(code=0))
    assert outcome.failure is None
    assert any("could not save the output" in note for note in outcome.notes)
    assert "a limit was dropped" in outcome.notes


def test_a_log_that_was_cut_is_an_error(folder):
    class Cutting(Script):
        def wait(self, timeout):
            if not self.items:
                self.folder.log.write_bytes(b"")
                return Exit(code=0)
            return super().wait(timeout)

    view = View()
    with pytest.raises(BenchdockError, match="was cut"):
        execute(plan(program="benchdock"), Cutting(folder, BEGIN), folder, view, StageClock(view))


class Meddling(Script):
    """Does something to the log before the program ends well."""

    def __init__(self, folder, meddle):
        super().__init__(folder, BEGIN, STEPS + END)
        self.meddle = meddle

    def wait(self, timeout):
        if self.items:
            return super().wait(timeout)
        self.meddle(self.folder.log)
        return Exit(code=0)


def replace(log):
    log.with_name("other").write_bytes(log.read_bytes())
    log.with_name("other").replace(log)


def rewrite(log):
    text = log.read_bytes()
    with log.open("r+b") as stream:
        stream.write(text.replace(b"1.0,1.0", b"9.0,9.0"))


def cut_and_filled(log):
    text = log.read_bytes()
    log.write_bytes(b"x" * len(text) + b"\n")


def move(log):
    log.rename(log.with_name("moved"))


@pytest.mark.parametrize(
    ("meddle", "words"),
    [
        (lambda log: log.unlink(), "was removed while the program ran: the 2"),
        (move, "was moved"),
        (rewrite, "was changed after its lines had been read"),
        (cut_and_filled, "was changed after its lines had been read"),
    ],
)
def test_a_log_that_is_not_what_was_read_makes_a_run_that_succeeds_fail(folder, meddle, words):
    view = View()
    runtime = Meddling(folder, meddle)
    outcome = execute(plan(program="benchdock"), runtime, folder, view, StageClock(view))
    assert outcome.failure.kind == "crashed"
    assert words in outcome.failure.message
    assert outcome.measurement.metrics == {}


@pytest.mark.parametrize(
    ("meddle", "words"),
    [
        (replace, "was replaced"),
        (lambda log: log.write_bytes(b""), "was cut from"),
        (lambda log: os.truncate(log, 10 << 40), "a gap of 109951162"),
    ],
)
def test_a_log_that_cannot_be_read_on_ends_the_run_at_once(folder, meddle, words):
    view = View()
    runtime = Meddling(folder, meddle)
    with pytest.raises(BenchdockError, match=words):
        execute(plan(program="benchdock"), runtime, folder, view, StageClock(view))
    assert runtime.gone


def test_an_optional_part_that_is_lost_does_not_cost_the_measurement(folder):
    class Mute(Script):
        def collect_output(self, destination, limit):
            raise EngineError("the container engine refused: 500")

    view = View()
    runtime = Mute(folder, BEGIN + STEPS + END, Exit(code=0))
    outcome = execute(plan(program="benchdock"), runtime, folder, view, StageClock(view))
    assert outcome.failure is None
    assert any("engine refused" in note for note in outcome.notes)


class Hasty(Script):
    """Has ended, with a long log, at the first look."""

    def wait(self, timeout):
        super().wait(timeout)
        return Exit(code=0)


def test_a_log_that_takes_longer_to_read_than_the_run_may_last_is_a_timeout(folder, monkeypatch):
    monkeypatch.setattr(following, "SLICE", 1)
    view = View()
    script = Hasty(folder, BEGIN + (b"x" * 99 + b"\n") * 100_000)
    limited = plan(program="benchdock", timeouts=Timeouts(total=0.001))
    outcome = execute(limited, script, folder, view, StageClock(view))
    assert outcome.failure.kind == "timeout"
    assert "stop" not in script.log  # it had ended


def test_a_signal_ends_the_reading_of_a_program_that_has_ended(folder, monkeypatch):
    monkeypatch.setattr(following, "SLICE", 1)

    class Impatient(View):
        def output(self, block):
            super().output(block)
            if len(self.blocks) == 2:
                raise Interrupted(signal.SIGTERM)

    view = Impatient()
    script = Script(folder, BEGIN + b"x" * 5_000_000, Exit(code=0))
    outcome = execute(plan(program="benchdock"), script, folder, view, StageClock(view))
    assert outcome.failure.kind == "interrupted"
    assert outcome.signal_number == signal.SIGTERM


def test_a_stopped_program_that_never_ceased_to_print_is_not_read_to_its_end(folder, monkeypatch):
    monkeypatch.setattr(following, "SLICE", 1)
    monkeypatch.setattr(following, "LAST_WORDS_SECONDS", 0.0)
    outcome, _, _ = run(folder, b"x" * 30_000_000, timeouts=Timeouts(total=0.0001))
    assert outcome.failure.kind == "timeout"
    assert any("was read only up to byte" in note for note in outcome.notes)
    assert outcome.measurement.metrics == {}


def test_stage_times_add_up_by_name():
    view = View()
    clock = StageClock(view)
    for _ in range(2):
        with clock.stage("a", "doing a"):
            pass
    with pytest.raises(RuntimeError), clock.stage("b"):
        raise RuntimeError
    assert list(clock.seconds) == ["a", "b"]
    assert view.stages == ["doing a", "doing a"]
