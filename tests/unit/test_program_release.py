"""The flags of a program's release in --source are checked before anything starts."""

import pytest

from orchestrator.errors import ExitStatus, RequestError
from orchestrator.frameworks import catalogue
from orchestrator.request import Request
from orchestrator.run import program_release

# As tf_cnn_benchmarks of TensorFlow 1.5 and of 1.15 define their flags, and argparse programs.
OLD = (
    "if __name__ == '__main__':\n  tf.app.run()\n",
    "PARAMS = {'xla': ParamSpec('boolean', False)}\n",
)
NEW = (
    "from absl import app\napp.run(main)  # Raises an error, unlike tf.app.run()\n",
    "flags.DEFINE_boolean('xla', False, '')\nflags.DEFINE_boolean('xla_compile', False, '')\n"
    "flags.DEFINE_boolean('sync_on_finish', False, '')\n",
)


@pytest.fixture
def asked(tmp_path):
    def ask(release, **changes):
        entry, flags = release
        (tmp_path / "tf_cnn_benchmarks.py").write_text(entry)
        (tmp_path / "platforms").mkdir(exist_ok=True)
        (tmp_path / "platforms" / "flags.py").write_text(flags)
        fields = {"model": "resnet50", "framework": "tf_cnn_benchmarks", "source": tmp_path}
        request = Request(**{**fields, **changes})
        program_release.check(catalogue.framework(request.framework), request)

    return ask


@pytest.mark.parametrize(
    ("release", "options"),
    [
        (OLD, {"xla": "on"}),
        (OLD, {"xla_compile": "off"}),
        (OLD, {"variable_update": "independent"}),
        (NEW, {"xla_compile": "on"}),
        (NEW, {"flag.nosync_on_finish": ""}),
        (NEW, {"flag.sync_on_finish": "true"}),
        (NEW, {"flag.verbosity": "1"}),
        (("", "flags of another kind"), {"flag.anything": "1"}),
    ],
)
def test_what_the_release_has_is_passed(asked, release, options):
    asked(release, options=options)


@pytest.mark.parametrize(
    ("release", "options", "told"),
    [
        (
            OLD,
            {"xla_compile": "on"},
            "does not have xla_compile, which --option xla_compile=on needs",
        ),
        (OLD, {"xla_compile": "on"}, "; remove --option xla_compile=on"),
        (NEW, {"optimizer": "adam"}, "does not have adam, which --option optimizer=adam needs"),
        (OLD, {"variable_update": "horovod"}, "does not have horovod_device, which"),
        (
            OLD,
            {"flag.nosuchflag": "3"},
            "has no flag --nosuchflag; remove --option flag.nosuchflag",
        ),
        (OLD, {"flag.verbosity": "1"}, "has no flag --verbosity"),
        (NEW, {"flag.sync_on_finsh": "true"}, "; did you mean flag.sync_on_finish?"),
    ],
)
def test_what_it_would_ignore_or_refuse_is_refused_first(asked, release, options, told):
    with pytest.raises(RequestError) as refused:
        asked(release, options=options)
    assert refused.value.exit_status is ExitStatus.BAD_REQUEST
    assert told in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_release_that_cannot_time_few_steps_says_so(asked):
    for steps in (1, 2):
        with pytest.raises(RequestError, match=rf"no rate for {steps} steps?; use --steps 3"):
            asked(OLD, steps=steps)
        asked(NEW, steps=steps)
    asked(OLD, steps=3)
    asked(OLD)


def test_a_folder_with_too_many_files_is_not_asked(asked, monkeypatch):
    monkeypatch.setattr(program_release, "_MOST_FILES", 1)
    asked(NEW, options={"flag.nosuchflag": "3"})


def test_a_file_that_cannot_be_read_defines_nothing(asked, tmp_path):
    (tmp_path / "broken.py").symlink_to("absent")
    asked(NEW, options={"flag.sync_on_finish": "true"})
