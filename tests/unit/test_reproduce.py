"""Claims are compared with equal conditions: differences are listed in advance, the verdict is
fair.
"""

import dataclasses
import json
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.frameworks import catalogue
from orchestrator.machine.description import EngineFacts
from orchestrator.machine.gpu_facts import Gpu, GpuReport
from orchestrator.published import claim_rules, collection
from orchestrator.published.collection import Claim, Code, Source
from orchestrator.reproduction import outline, preparation, surroundings
from orchestrator.reproduction.claim_verdict import summarize, verdict_on
from orchestrator.reproduction.conditions import Terms
from orchestrator.reproduction.preparation import prepare
from orchestrator.reproduction.setup import RANKING, Wishes
from orchestrator.result import Metric, Result
from orchestrator.run import program_rules
from orchestrator.run.facts import EngineAnswer
from tests.support import stand_in
from tests.support.datasets import jpeg
from tests.support.machines import CPU, Known, answered

NOTHING = Known()
SILENT = EngineAnswer(why_not="nobody answers")


def world(*gpus, capability="7.0", driver="570.1", **changes):
    found = tuple(
        Gpu(index=i, uuid=f"GPU-{i}", name=name, compute_capability=capability)
        for i, name in enumerate(gpus)
    )
    report = GpuReport(state="ok", reason="", gpus=found, driver=driver)
    usual: dict[str, Any] = {"gpu": report, "container_engine": answered(EngineFacts())}
    return Known(**usual | changes)


def claim(**changes):
    usual: dict[str, Any] = {
        "id": "x",
        "source": Source(url="", title="", date=None, publisher="me"),
        "model": "resnet50_v1.5",
        "framework": "pytorch",
        "program": "benchdock",
        "container": None,
        "version": None,
        "phase": "training",
        "precision": "float32",
        "gpu": "v100-16gb",
        "gpus": 1,
        "system": None,
        "batch": 64,
        "value": 100.0,
        "unit": "images/s",
        "conditions": (),
        "network": None,
        "suspect": (),
    }
    return Claim(**usual | changes)


V100 = "Tesla V100-SXM2-16GB"


def effects(setup):
    return {condition.name: condition.effect for condition in setup.unmet}


def test_equal_settings_leave_five_percent():
    setup = prepare(claim(conditions=("synthetic", "224x224", "nhwc")), world(V100))
    assert setup.unmet == ()
    assert setup.tolerance == 0.05
    assert setup.request.gpus == (0,)
    assert setup.request.batch == 64
    assert setup.request.options == {"layout": "channels_last"}


@pytest.mark.parametrize(
    ("changes", "name", "effect"),
    [
        ({"gpu": "a100"}, "GPU", "none"),
        ({"gpu": "v100-32gb"}, "GPU", "none"),
        ({"gpu": None}, "GPU", "none"),
        ({"gpus": 2}, "GPU count", "none"),
        ({"precision": None}, "precision", "none"),
        ({"version": "0.4"}, "framework version", "looser"),
        ({"system": "dgx-1"}, "system", "looser"),
        ({"conditions": ("real",)}, "data", "looser"),
        ({"conditions": ("2-nodes",)}, "machines", "none"),
        ({"conditions": ("299x299",)}, "image size", "none"),
        ({"conditions": ("no-dropout",)}, "dropout", "looser"),
        ({"conditions": ("never-heard-of",)}, "flag", "none"),
        ({"gpus": 0, "gpu": "c5.18xlarge"}, "CPU", "none"),
    ],
)
def test_each_condition_has_its_effect(changes, name, effect):
    setup = prepare(claim(**changes), world(V100))
    assert effects(setup) == {name: effect}
    assert setup.comparable is (effect == "looser")
    assert setup.request is not None


def test_the_claims_own_container_is_used_if_it_can_be():
    asked = claim(container="nvcr.io/nvidia/pytorch:20.06-py3")
    assert prepare(asked, world(V100)).request.image == asked.container
    without = prepare(
        asked, world(V100, capability="7.5", driver="580.65", container_engine=SILENT)
    )
    assert without.request.image is None
    assert "nobody answers" in without.unmet[0].why
    guessed = dataclasses.replace(asked, suspect=("half-tag",))
    assert effects(prepare(guessed, world(V100))) == {"container": "looser"}


def test_a_container_too_old_for_the_gpu_is_not_started():
    here = world("NVIDIA H200", capability="9.0", driver="580.65")
    asked = claim(container="nvcr.io/nvidia/pytorch:19.10-py3", gpu="h200")
    setup = prepare(asked, here)
    assert setup.request.image is None
    assert "CUDA 10.1" in setup.unmet[0].why


@pytest.mark.parametrize("engine", ["", "nobody answers"])
def test_an_older_image_stands_in_for_ours_if_that_dropped_the_gpu(engine):
    asked = claim(version="2.0", program="timm", conditions=("synthetic", "nhwc"))
    answer = EngineAnswer(why_not=engine) if engine else answered(EngineFacts())
    setup = prepare(asked, world(V100, container_engine=answer))
    assert setup.request.image is None  # the run chooses it as this does
    assert setup.why_not == ""
    assert [c.here for c in setup.unmet if c.name == "framework version"] == ["2.10.0"]


def test_a_month_of_the_vendors_stands_in_if_no_image_of_ours_works():
    asked = claim(version="2.0", program="timm", conditions=("synthetic", "nhwc"))
    old = world("Tesla V100-SXM2-16GB", driver="418.67")
    setup = prepare(asked, old)
    assert setup.request.image == "nvcr.io/nvidia/pytorch:19.10-py3"
    assert [c.here for c in setup.unmet if c.name == "framework version"] == [setup.request.image]
    on_host = prepare(asked, dataclasses.replace(old, container_engine=SILENT))
    assert on_host.request is None
    assert "needs NVIDIA driver 450.80.02 or newer" in on_host.why_not


def test_nothing_is_run_if_no_image_is_known_to_work():
    asked = claim(container="nvcr.io/nvidia/caffe2:18.08-py3", framework="caffe2", gpu="h200")
    setup = prepare(asked, world("NVIDIA H200", capability="9.0"))
    assert setup.request is None
    assert "Caffe2 has no newer NGC image" in setup.why_not


def test_a_program_without_launcher_needs_the_same_network():
    same = prepare(claim(program="torch2trt", conditions=("synthetic", "nchw")), world(V100))
    assert same.request.framework == "pytorch"
    assert effects(same) == {"program": "looser", "container": "looser"}
    other = prepare(claim(program="torchbench", model="alexnet"), world(V100))
    assert other.request is None
    assert effects(other) == {"network": "none", "program": "none"}
    assert "not comparable with our own network" in other.why_not


def test_a_vendors_program_that_is_not_here_is_asked_for(tmp_path):
    asked = claim(program="tf_cnn_benchmarks", framework="tensorflow", model="alexnet")
    without = prepare(asked, world(V100))
    assert without.request is None
    assert without.planned.framework == "tf_cnn_benchmarks", "a dry run shows it all the same"
    assert "--source: a folder with tf_cnn_benchmarks.py" in without.why_not
    stand_in = prepare(claim(program="timm"), world(V100))
    assert stand_in.request.framework == "pytorch", "the same network may stand in"
    assert "needs --source" in stand_in.unmet[0].why


@pytest.fixture
def source(tmp_path):
    """Make a folder that passes for any vendor's program."""
    folder = tmp_path / "program"
    folder.mkdir()
    for name in ("tf_cnn_benchmarks.py", "benchmark.py", "main.py", "runner"):
        (folder / name).touch()
    return folder


TF_CNN = {"program": "tf_cnn_benchmarks", "framework": "tensorflow", "model": "alexnet"}
DLE = {"program": "deeplearningexamples"}


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        (
            TF_CNN | {"conditions": ("xla", "synthetic", "nchw", "sgd")},
            {"xla": "on", "data_format": "NCHW", "optimizer": "sgd"},
        ),
        (
            TF_CNN | {"conditions": ("no-xla", "synthetic", "nchw", "sgd", "parameter-server",
                                     "parameters-on-cpu")},
            {"xla": "off", "data_format": "NCHW", "optimizer": "sgd",
             "variable_update": "parameter_server", "parameter_device": "cpu"},
        ),
        (
            {"program": "timm", "precision": "float16",
             "conditions": ("amp", "nhwc", "224x224", "sgd")},
            {"amp": "on", "layout": "channels_last", "img_size": "224", "optimizer": "sgd"},
        ),
        (
            DLE | {"framework": "tensorflow", "precision": "float16",
                   "conditions": ("amp", "xla", "nchw", "synthetic")},
            {"xla": "on", "data_format": "NCHW"},
        ),
        (
            DLE | {"precision": "tf32", "conditions": ("synthetic", "nchw", "mixup-0.2",
                                                       "optimizer-batch-2048")},
            {"memory_format": "nchw", "mixup": "0.2", "optimizer_batch": "2048"},
        ),
        (
            DLE | {"framework": "mxnet", "conditions": ("no-xla", "synthetic")},
            {},
        ),
    ],
)  # fmt: skip
def test_a_vendors_program_runs_with_the_options_of_the_claim(source, changes, options):
    image = None if changes["program"] != "timm" else "nvcr.io/nvidia/pytorch:24.06-py3"
    setup = prepare(claim(**changes), world(V100), Wishes(source=source, image=image))
    assert setup.request.source == source
    assert setup.request.options == options
    assert setup.request.framework in catalogue.FRAMEWORKS
    assert set(effects(setup)) == {"container", "code"}


def test_options_that_bring_conditions_about_exist():
    rules = claim_rules.load()
    checked = 0
    for entry in rules.launchers:
        framework = catalogue.FRAMEWORKS[entry.name]
        for options in entry.conditions.values():
            if not framework.ours:
                program_rules.check_options(framework, options)
                checked += 1
    assert checked > 20


def test_every_option_of_a_program_belongs_to_a_condition_or_says_why_not():
    """An option without an aspect would be a silent default."""
    for entry in claim_rules.load().launchers:
        framework = catalogue.FRAMEWORKS[entry.name]
        if not framework.ours:
            decided = {key for options in entry.conditions.values() for key in options}
            assert set(framework.options) == decided | set(entry.free), entry.name
            assert not decided & set(entry.free)


def test_what_is_asked_for_can_be_answered():
    rules = claim_rules.load()
    described = {rule.name: rule.aspect for rule in rules.conditions}
    assert {*described.values(), *(a.name for a in rules.aspects)} <= set(RANKING)
    assert len(described) == len(rules.conditions)
    for entry in rules.launchers:
        assert {*entry.conditions, *entry.always} <= set(described), entry.name
        answers = {described[word] for word in (*entry.conditions, *entry.always)}
        for name in entry.asks:
            rules.aspect(name)
            assert name in answers or name == "input pipeline", (entry.name, name)


@pytest.mark.parametrize("word", [rule.name for rule in claim_rules.load().conditions])
def test_each_word_is_brought_about_or_has_its_price_everywhere(word, source):
    """No condition of a claim is dropped: options bring it about, or a condition says its price."""
    rules = claim_rules.load()
    for entry in rules.launchers:
        framework = catalogue.FRAMEWORKS[entry.name]
        phase = catalogue.default_phase(framework.name)
        model = "resnet50_v1.5" if framework.networks is None else next(iter(framework.networks))
        asked = claim(
            program=entry.program, framework=entry.framework, model=model, phase=phase,
            conditions=(word,),
        )  # fmt: skip
        terms = Terms(
            claim=asked, launcher=entry, framework=framework, wishes=Wishes(), rules=rules
        )
        told = {found.claimed for found in terms.unmet()}
        about = rules.condition(word).aspect
        holds = word in entry.always or (word == "224x224" and framework.networks is None)
        brought = all(
            terms.options().get(key) == value
            for key, value in entry.conditions.get(word, {"": ""}).items()
        )
        moot = about == "input pipeline" and "real" not in asked.conditions
        assert word in told or holds or brought or moot, (entry.name, word)


def one_of_each_kind():
    """Return claims of the collection that differ in more than a number."""
    kinds: dict[tuple, Claim] = {}
    for asked in collection.load():
        number = ("value", "id", "source", "batch", "gpu", "gpus", "suspect")
        rest = {name: getattr(asked, name) for name in Claim.__slots__ if name not in number}
        kinds.setdefault((asked.batch is None, asked.gpus > 1, *rest.values()), asked)
    return list(kinds.values())


@pytest.mark.slow
def test_no_batch_of_ours_enters_a_request(source):
    """A batch comes from the claim or from --batch; without one nothing runs."""
    kinds = one_of_each_kind()
    assert any(asked.batch is None for asked in kinds)
    for asked in kinds:
        planned = prepare(asked, world(V100), Wishes(source=source)).planned
        assert planned is None or planned.batch == asked.batch
    unstated = claim(batch=None)
    setup = prepare(unstated, world(V100))
    assert (setup.request, setup.planned.batch) == (None, None)
    assert "use --batch N" in setup.why_not
    given = prepare(unstated, world(V100), Wishes(batch=48))
    assert given.request.batch == 48
    assert effects(given) == {"batch": "none"}
    other = prepare(claim(batch=64), world(V100), Wishes(batch=48))
    assert effects(other) == {"batch": "none"}


@pytest.mark.parametrize(
    ("changes", "name", "effect", "here"),
    [
        ({"conditions": ("nchw",)}, "data", "looser", "synthetic data"),
        ({"conditions": ("synthetic",)}, "layout", "none", "memory_format=nchw"),
        ({"conditions": ("synthetic", "nhwc", "real")}, "data", "looser", "synthetic data"),
    ],
)
def test_what_nobody_states_is_said_with_what_is_taken_instead(source, changes, name, effect, here):
    setup = prepare(claim(**DLE, **changes), world(V100), Wishes(source=source))
    found = next(condition for condition in setup.unmet if condition.name == name)
    assert (found.effect, found.here) == (effect, here)


def test_several_gpus_are_asked_for_more():
    asked = claim(**TF_CNN | {"conditions": ("synthetic", "nchw", "no-xla", "sgd")}, gpus=2)
    assert effects(prepare(asked, world(V100, V100)))["variables"] == "none"
    one = dataclasses.replace(asked, gpus=1)
    assert "variables" not in effects(prepare(one, world(V100)))
    server = dataclasses.replace(one, conditions=(*one.conditions, "parameter-server"))
    assert effects(prepare(server, world(V100)))["parameter device"] == "none"


def test_a_dataset_is_read_as_the_claim_says(source, tmp_path):
    for split in ("train", "val"):
        (tmp_path / "data" / split / "cat").mkdir(parents=True)
        (tmp_path / "data" / split / "cat" / "x.jpg").write_bytes(jpeg(300, 300))
    wishes = Wishes(source=source, data=tmp_path / "data")
    asked = claim(**DLE, conditions=("real", "no-dali", "nchw"))
    setup = prepare(asked, world(V100), wishes)
    assert setup.request.options == {"memory_format": "nchw", "data_backend": "pytorch"}
    assert not {"data", "input pipeline"} & set(effects(setup))
    made = prepare(asked, world(V100), Wishes(source=source))
    assert "data_backend" not in made.request.options
    unsaid = prepare(claim(**DLE, conditions=("real", "nchw")), world(V100), wishes)
    assert effects(unsaid)["input pipeline"] == "looser"
    other = prepare(claim(**DLE, conditions=("synthetic", "nchw")), world(V100), wishes)
    assert effects(other)["data"] == "looser"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"memory_format": "nhwc"}, {"layout"}),
        ({"memory_format": "nchw"}, set()),
        ({"flag.workers": "3"}, {"flag"}),
        ({"mixup": "0.2"}, {"flag"}),
    ],
)
def test_an_option_that_contradicts_the_claim_is_a_condition(source, options, names):
    asked = claim(**DLE, conditions=("synthetic", "nchw"))
    setup = prepare(asked, world(V100), Wishes(source=source, options=options))
    assert set(effects(setup)) - {"container", "code"} == names
    assert all(effects(setup)[name] == "none" for name in names)


OLD = "nvcr.io/nvidia/pytorch:19.05-py3"


@pytest.mark.parametrize(
    "changes",
    [
        {"code": Code(repository="r", folder=".", date="2019-12-15")},
        {"container": OLD},
        {"source": Source(url="", title="", date="2020-03", publisher="me")},
    ],
)
def test_claims_older_than_the_launchers_flags_are_refused(source, changes):
    for wishes in (Wishes(), Wishes(source=source)):
        setup = prepare(claim(**DLE, **changes), world(V100), wishes)
        assert (setup.request, setup.planned) == (None, None)
        assert "of 2020-06-27 or later: before, it has no --memory-format" in setup.why_not
    newer = claim(**DLE, code=Code(repository="r", folder=".", date="2020-06-27"))
    assert prepare(newer, world(V100), Wishes(source=source)).request is not None


def test_the_old_claims_of_the_collection_are_refused():
    rules = claim_rules.load()
    found = [(asked, rules.launcher(asked.program, asked.framework)) for asked in collection.load()]
    old = [one for one, how in found if how and preparation._too_old(one, how[0], Wishes())]
    months = {(asked.container or "?:?").rpartition(":")[2].partition("-")[0] for asked in old}
    assert months == {"18.09", "18.12", "19.02", "19.05", "19.07", "20.03", "?"}
    # DLPerf's MXNet rows ran code of 2019 in an image of 2020; Lambda's first logs name no image.
    assert len(old) == 279 + 16 + 4


def git(folder, *words):
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(folder)]
    done = subprocess.run([*command, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path, source):
    """Make the program a folder of a git clone with two commits, the second beside it."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "program")
    git(tmp_path, "commit", "-q", "-m", "first")
    (tmp_path / "elsewhere").write_text("x", encoding="utf-8")
    git(tmp_path, "add", "elsewhere")
    git(tmp_path, "commit", "-q", "-m", "second")
    return source


def code_condition(asked, source):
    setup = prepare(asked, world(V100), Wishes(source=source))
    return next((found for found in setup.unmet if found.name == "code"), None)


def test_the_commit_of_the_source_is_compared_with_the_claims(clone, tmp_path):
    def asked(revision):
        return claim(
            **DLE, conditions=("synthetic", "nchw"),
            code=Code(repository="r", folder="program", revision=revision, date="2021-01-01"),
        )  # fmt: skip

    head, first = git(clone, "rev-parse", "HEAD"), git(clone, "rev-parse", "HEAD~1")
    assert code_condition(asked(head), clone) is None
    assert code_condition(asked(head[:9]), clone) is None
    assert code_condition(asked(first), clone) is None, "the folder is the same in both commits"
    other = code_condition(asked("f" * 40), clone)
    assert (other.claimed, other.here, other.effect) == ("f" * 12, head[:12], "looser")
    (clone / "main.py").write_text("changed", encoding="utf-8")
    assert "uncommitted changes" in code_condition(asked(head), clone).here
    git(clone, "commit", "-q", "-a", "-m", "third")
    here = git(clone, "rev-parse", "HEAD")[:12]
    assert code_condition(asked(first), clone).here == f"{here} (1 file changed in between)"


def test_a_commit_that_changed_only_texts_has_the_same_program(clone):
    claimed = git(clone, "rev-parse", "HEAD")
    (clone / "README.md").write_text("new", encoding="utf-8")
    git(clone, "add", ".")
    git(clone, "commit", "-q", "-m", "words")
    asked = claim(**DLE, code=Code(repository="r", folder="program", revision=claimed))
    assert code_condition(asked, clone) is None


def test_code_that_nobody_can_identify_is_not_verified(source):
    asked = claim(**DLE, code=Code(repository="r", folder=".", revision="a" * 40))
    assert "not verified" in code_condition(asked, source).here
    assert code_condition(claim(**DLE), source).claimed == "not stated"
    assert code_condition(claim(), None) is None
    in_image = claim(
        program="nvtfcnn", framework="tensorflow", model="vgg16", conditions=("synthetic", "xla"),
        code=Code(repository="r", folder="."),
    )  # fmt: skip
    assert code_condition(in_image, None).here == "the copy in the image"


def test_what_a_program_always_does_its_stand_in_does_too(tmp_path):
    asked = claim(program="mxnet_score", framework="mxnet", model="vgg16", phase="inference",
                  gpus=0, gpu=CPU)  # fmt: skip
    assert "data" not in effects(prepare(asked, NOTHING))
    assert effects(prepare(asked, NOTHING, Wishes(data=tmp_path)))["data"] == "looser"


def test_code_older_than_the_launcher_is_refused(clone, monkeypatch):
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2019-03-01T12:00:00")
    git(clone, "commit", "-q", "--allow-empty", "-m", "old")
    setup = prepare(claim(**DLE), world(V100), Wishes(source=clone))
    assert "the code in --source is of 2019-03-01" in setup.why_not


def test_later_code_stands_in_for_claims_that_name_no_image(clone, monkeypatch):
    asked = claim(
        **TF_CNN, code=Code(repository="r", folder=".", revision="9" * 7, date="2017-05-04")
    )
    setup = prepare(asked, world(V100), Wishes(source=clone))
    assert setup.request is not None
    assert effects(setup)["code"] == "looser"
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2017-05-04T12:00:00")
    git(clone, "commit", "-q", "--allow-empty", "-m", "old")
    refused = prepare(asked, world(V100), Wishes(source=clone))
    assert "it has no --tf_random_seed" in refused.why_not


def test_a_claim_of_our_own_program_has_its_defaults(tmp_path):
    assert prepare(claim(), world(V100)).unmet == ()
    assert effects(prepare(claim(), world(V100), Wishes(data=tmp_path))) == {"data": "looser"}
    for options in ({"layout": "channels_last"}, {"cuda_graphs": "on"}):
        setup = prepare(claim(), world(V100), Wishes(options=options))
        assert effects(setup) == {"flag": "none"}
        assert prepare(claim(), world(V100), Wishes(claimed=options, options=options)).unmet == ()


def drawn(asked, here=NOTHING, wishes=None):
    setup = prepare(asked, here, wishes)
    return outline.draw(asked, setup.planned, here)


def test_a_dry_run_shows_image_and_flags_on_any_machine():
    asked = claim(
        **TF_CNN | {"conditions": ("synthetic", "nchw", "no-xla", "sgd", "parameter-server",
                                   "parameters-on-cpu")},
        container="nvcr.io/nvidia/tensorflow:19.10-py3", gpus=8,
    )  # fmt: skip
    shown = drawn(asked)
    assert shown.image.startswith("nvcr.io/nvidia/tensorflow:19.10-py3 (it needs a container")
    for flag in ("--batch_size=64", "--variable_update=parameter_server", "--num_gpus=8",
                 "--local_parameter_device=cpu", "--data_format=NCHW"):  # fmt: skip
        assert flag in shown.command
    assert ("devices", "8 x gpu") in shown.lines()
    assert "/benchdock/source/tf_cnn_benchmarks.py" in shown.command


def test_a_dry_run_without_a_batch_shows_no_command():
    shown = drawn(claim(batch=None))
    assert shown.command == ""
    assert "use --batch N" in dict(shown.lines())["work"]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(collection.load()), st.sampled_from([NOTHING, world(V100), world(V100, V100)])
)
def test_every_claim_that_is_planned_can_be_shown(asked, here):
    setup = prepare(asked, here)
    if setup.planned is None:
        assert setup.why_not
        return
    shown = outline.draw(asked, setup.planned, here)
    assert json.dumps(shown.as_json())
    assert bool(shown.command) or bool(setup.why_not)
    if shown.command:
        assert str(asked.batch) in shown.command


def test_conditions_are_ranked():
    asked = claim(gpu="a100", batch=None, system="dgx-1", conditions=("real", "asp"))
    order = [RANKING.index(condition.name) for condition in prepare(asked, world(V100)).unmet]
    assert order == sorted(order)
    assert len(order) == 5


def test_another_definition_of_the_network_is_not_comparable():
    setup = prepare(claim(), world(V100), Wishes(fingerprint="beef"))
    assert effects(setup) == {"network": "none"}


def result(throughput, **changes):
    return Result(
        benchdock="0.1.0",
        status="ok",
        metrics={"throughput": Metric(value=throughput, unit="samples/s")},
        **changes,
    )


@pytest.mark.parametrize(
    ("measured", "changes", "verdict", "status"),
    [
        (104.9, {}, "reproduced", ExitStatus.OK),
        (95.1, {}, "reproduced", ExitStatus.OK),
        (105.1, {}, "not reproduced", ExitStatus.GATE_MISSED),
        (94.9, {}, "not reproduced", ExitStatus.GATE_MISSED),
        (109.0, {"system": "dgx-1"}, "reproduced", ExitStatus.OK),
        (111.0, {"system": "dgx-1"}, "not reproduced", ExitStatus.GATE_MISSED),
        (100.0, {"gpu": "a100"}, "not comparable", ExitStatus.GATE_MISSED),
    ],
)
def test_the_verdict(measured, changes, verdict, status):
    asked = claim(**changes)
    outcome = verdict_on(asked, prepare(asked, world(V100)), [result(measured)] * 3)
    assert (outcome.verdict, outcome.exit_status) == (verdict, status)
    assert outcome.ratio == pytest.approx(measured / 100)


def test_what_only_the_runs_tell_is_added():
    ours = surroundings.our_version(catalogue.FRAMEWORKS["pytorch"], "gpu")
    asked = claim(version=ours)
    runs = [result(100, program={"framework_version": "0.1"}, warnings=("the GPU throttled",))] * 3
    outcome = verdict_on(asked, prepare(asked, world(V100)), runs)
    assert [condition.name for condition in outcome.unmet] == ["framework version"]
    assert "the GPU throttled" in outcome.doubts


def test_runs_that_differ_are_doubted():
    asked = claim(suspect=("rates",))
    outcome = verdict_on(asked, prepare(asked, world(V100)), [result(v) for v in (90, 100, 110)])
    told = " ".join(outcome.doubts)
    assert "differ from each other by up to 22 %" in told
    assert "more --runs" in told
    assert "a mean of rates" in told


@given(st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=30))
def test_the_interval_holds_all_samples_over_all_time(values):
    found = summarize(values)
    assert min(values) * 0.999 <= found.throughput <= max(values) * 1.001
    assert 0 < found.low <= found.throughput * 1.001
    assert found.high is None or found.high >= found.throughput * 0.999


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(collection.load()), st.sampled_from([NOTHING, world(V100), world(V100, V100)])
)
def test_every_published_claim_is_planned_or_explained(asked, here):
    setup = prepare(asked, here)
    assert (setup.request is None) is bool(setup.why_not)
    assert all(condition.name in RANKING for condition in setup.unmet)
    assert json.dumps(setup.as_json())


YAML = """
model: deep_mnist
framework: pytorch
gpus: 0
batch: 2
steps: 4
value: {value}
options: {{behaviour: {behaviour}}}
"""


@pytest.fixture
def own(tmp_path):
    """Write a claim about the stand-in program on this machine's CPU."""
    cpu = preparation.here(Wishes()).cpu_model

    def write(value, behaviour="good", more=""):
        path = tmp_path / "claim.yaml"
        path.write_text(YAML.format(value=value, behaviour=behaviour) + f"gpu: {cpu!r}\n" + more)
        return str(path)

    with stand_in.home(tmp_path / "home"):
        yield write


@pytest.mark.slow
def test_a_claim_of_the_user_is_reproduced_end_to_end(own, capsys):
    words = ["reproduce", own(4.1), "--json", "--runtime", "host"]
    assert main(words) == ExitStatus.OK
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "reproduced"
    assert told["measured"]["value"] == 4.0
    assert told["measured"]["unit"] == "samples/s"
    assert told["ratio"] == pytest.approx(4.0 / 4.1)
    assert told["conditions"] == []
    assert len(set(told["runs"])) == 3


@pytest.mark.slow
def test_a_claim_out_of_tolerance_misses_the_gate(own, capsys):
    assert main(["reproduce", own(5.0), "--runtime", "host", "--quiet"]) == ExitStatus.GATE_MISSED
    out, err = capsys.readouterr()
    assert "not reproduced (tolerance 5 %)" in out
    assert "measured\n" not in out
    assert err == ""


def test_a_run_that_fails_leaves_one_document_too(own, capsys):
    words = ["reproduce", own(5.0, "nan"), "--runtime", "host", "--json", "--quiet"]
    assert main(words) == ExitStatus.BENCHMARK_FAILED
    told = json.loads(capsys.readouterr().out)
    assert told["failure"]["kind"] == "no_result"
    assert len(told["runs"]) == 1
    assert "verdict" not in told


@pytest.mark.slow
@pytest.mark.parametrize("loudness", [[], ["--quiet"]])
def test_a_run_that_fails_ends_it_with_its_own_status(own, capsys, loudness):
    words = ["reproduce", own(4.0, "nan"), "--runtime", "host", *loudness]
    assert main(words) == ExitStatus.BENCHMARK_FAILED
    out, err = capsys.readouterr()
    assert "benchdock: run 1 of 3 failed: " in err
    assert (err.count("\n") == 1) is bool(loudness)
    assert out == ""


def test_what_cannot_be_met_is_said_before_anything_runs(own, capsys):
    words = ["reproduce", own(4.0, more="system: a mainframe\n"), "--runtime", "host"]
    assert main([*words, "--dry-run"]) == ExitStatus.OK
    out = capsys.readouterr().out
    assert "not met: system\n  claimed  a mainframe\n  here     this machine\n" in out
    assert "within 10 % the result counts as reproduced" in out


KNOWN = "nvidia-dle-tensorflow-20.03-resnet50_v1.5-v100-16gb-float16-training-b256x8-xla"


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["x", "--runs", "2"], 2, "use --runs 3 or more"),
        (["nvidia-dle-pytorch-20.06-resnet50-v100"], 2, "did you mean"),
        (["/absent.yaml"], 2, "cannot read /absent.yaml"),
        ([KNOWN, "--dry-run", "--source", "/absent"], 2, "--source /absent is not a folder"),
        ([KNOWN, "--dry-run", "--data", "/absent"], 2, "the dataset /absent does not exist"),
        ([KNOWN, "--dry-run", "--batch", "0"], 2, "--batch"),
    ],
)
def test_a_wrong_request_is_one_line(capsys, words, status, told):
    assert main(["reproduce", *words]) == status
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert told in err


def test_a_claim_for_a_gpu_is_listed_on_a_machine_without(capsys, monkeypatch):
    monkeypatch.setattr(preparation, "here", lambda wishes: NOTHING)
    asked = "nvidia-dle-pytorch-20.06-resnet50_v1.5-v100-16gb-float16-training-x1"
    assert main(["reproduce", asked, "--dry-run", "--json"]) == ExitStatus.OK
    told = json.loads(capsys.readouterr().out)
    names = [condition["name"] for condition in told["setup"]["conditions"]]
    assert names == ["program", "GPU", "container", "data", "loss", "system"]
    assert told["plan"]["batch"] == 256
    assert told["plan"]["options"] == {"layout": "contiguous"}
    assert told["plan"]["image"].startswith("nvcr.io/nvidia/pytorch:20.06-py3")
    assert "--option=layout=contiguous" in told["plan"]["command"]
    assert main(["reproduce", asked]) == ExitStatus.MACHINE_CANNOT
    assert "no NVIDIA driver is installed" in capsys.readouterr().err


def test_an_option_that_is_missing_is_the_requests_fault(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(preparation, "here", lambda wishes: NOTHING)
    assert main(["reproduce", KNOWN]) == ExitStatus.BAD_REQUEST
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "needs --source" in err
    path = tmp_path / "claim.yaml"
    path.write_text("{model: vgg16, framework: pytorch, gpu: v100, value: 10}", encoding="utf-8")
    assert main(["reproduce", str(path)]) == ExitStatus.BAD_REQUEST
    assert "use --batch N" in capsys.readouterr().err
