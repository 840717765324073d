"""`benchdock import-dlbs`: the suite has the runs of DLBS's plan, and what is lost is named."""

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli import main
from orchestrator.dlbs.arrangement import frozen
from orchestrator.dlbs.suite_text import Entry, repeated, suite, write

GOLDEN = Path(__file__).parents[1] / "golden/dlbs"


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path))
    return tmp_path


def imported(capsys, config, *options):
    """Return exit status, suite and notes of an import."""
    Path("sweep.json").write_text(config if isinstance(config, str) else json.dumps(config))
    status = main(["import-dlbs", "sweep.json", *options])
    told = capsys.readouterr()
    return status, told.out, told.err.splitlines()


def runs(document):
    """Return the runs of a suite, each with its repeats: what a reader of suites makes of it."""
    found = []
    for group in document["groups"].values():
        base = document.get("defaults", {}) | group.get("defaults", {})
        axes = group.get("matrix", {})
        cells = [
            dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())
        ]
        for cell in [*(cells if axes else []), *group.get("runs", [])]:
            run = base | cell
            changes = [
                one["set"]
                for one in group.get("override", [])
                if all(frozen(run.get(key)) == frozen(value) for key, value in one["when"].items())
            ]
            for change in changes:
                run |= change
            found.append((run, group.get("repeat", document.get("repeat", 1))))
    return found


def only(config, capsys, *options):
    """Return the keys of the only run."""
    status, text, _ = imported(capsys, config, *options)
    assert status == 0
    ((run, repeat),) = runs(yaml.safe_load(text))
    assert repeat == 1
    return run


USUAL = {"exp.framework": "mxnet", "exp.model": "vgg16"}


def of(**changes):
    """Return a configuration of one benchmark; `exp_gpus` sets exp.gpus."""
    named = {
        key if "." in key else key.replace("_", ".", 1): value for key, value in changes.items()
    }
    return {"parameters": USUAL | named}


SWEEP = {
    "parameters": {
        "exp.num_warmup_batches": 5,
        "exp.num_batches": {"val": 40, "type": "int", "desc": "timed batches"},
        "exp.status": "disabled",
        "exp.docker": True,
        "exp.log_file": "${LOGS}/${exp.framework}/$('${exp.gpus}'.replace(',', '.'))$.log",
        "nvidia_caffe.docker_image": "example.com/caffe:1",
        "mxnet.docker_image": "example.com/mxnet:2",
        "mxnet.kv_store": "device",
        "monitor.frequency": 0.5,
        "exp.node_id": "Server 7",
    },
    "variables": {
        "exp.framework": ["nvidia_caffe", "mxnet"],
        "exp.gpus": ["0", "0,1"],
        "exp.model": ["alexnet", "vgg16", "resnet50"],
        "exp.replica_batch": [16, 32, 64],
        "exp.trial": [1, 2, 3],
    },
    "extensions": [
        {
            "condition": {"exp.model": "alexnet", "exp.replica_batch": [32, 64]},
            "parameters": {"exp.status": ""},
        },
        {
            "condition": {"exp.model": ["vgg16", "resnet50"], "exp.replica_batch": [16, 32]},
            "parameters": {"exp.status": ""},
        },
    ],
}
PINNED = {
    "parameters": {
        "exp.framework": "pytorch",
        "exp.model": "resnet18",
        "exp.phase": "inference",
        "exp.docker": False,
        "exp.gpus": "",
        "runtime.launcher": ["${exp.vars}", "numactl --localalloc ${exp.cpus}"],
        "runtime.env.KMP_BLOCKTIME": 0,
        "exp.data_dir": "${DATA}/images",
    },
    "extensions": [
        {
            "cases": [
                {"exp.vars": "OMP_NUM_THREADS=4", "exp.cpus": "--physcpubind=0-3"},
                {"exp.vars": "OMP_NUM_THREADS=8", "exp.cpus": "--physcpubind=0-7"},
            ]
        },
        {"condition": {"exp.vars": ".*=8"}, "parameters": {"exp.replica_batch": 32}},
    ],
}


@pytest.mark.parametrize("name", ["SWEEP", "PINNED"])
def test_the_suite_is_the_golden_one(name, capsys, monkeypatch):
    monkeypatch.setenv("DATA", "/data")
    status, text, notes = imported(capsys, globals()[name])
    golden = GOLDEN / f"{name.lower()}.yaml"
    if os.environ.get("BENCHDOCK_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert status == 0
    assert text == golden.read_text(encoding="utf-8")
    comments = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ")]
    assert comments[1:] == [note.removeprefix("note: ") for note in notes]


def test_the_golden_sweep_has_the_plan_of_dlbs():
    document = yaml.safe_load((GOLDEN / "sweep.yaml").read_text(encoding="utf-8"))
    batches = {"alexnet": (32, 64), "vgg16": (16, 32), "resnet50": (16, 32)}
    images = {"nvidia_caffe": "example.com/caffe:1", "mxnet": "example.com/mxnet:2"}
    expected = {
        (framework, called(framework, model), batch, frozen(gpus), images[framework])
        for framework in images
        for model, several in batches.items()
        for batch in several
        for gpus in (0, [0, 1])
    }
    found = runs(document)
    assert len(found) == len(expected) == 24
    assert {repeat for _, repeat in found} == {3}
    keys = ("framework", "model", "batch", "gpus", "image")
    assert {tuple(frozen(run[key]) for key in keys) for run, _ in found} == {
        (*map(frozen, row[:3]), row[3], frozen(row[4])) for row in expected
    }
    assert {(run["steps"], run["warmup"], run["runtime"]) for run, _ in found} == {
        (40, 5, "docker")
    }


def called(framework, model):
    return "resnet50_v1.5" if (framework, model) == ("mxnet", "resnet50") else model


def test_dlbs_defaults_are_written_out(capsys):
    assert only(of(), capsys) == {
        "model": "vgg16",
        "framework": "mxnet",
        "phase": "training",
        "dtype": "float32",
        "batch": 16,
        "steps": 100,
        "warmup": 1,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"exp_dtype": "float"}, {}),
        ({"exp_dtype": "float16"}, {"dtype": "float16"}),
        ({"exp_gpus": ""}, {"gpus": "none"}),
        ({"exp_gpus": 0}, {"gpus": 0}),
        ({"exp_gpus": "0, 2"}, {"gpus": [0, 2]}),
        ({"exp_effective_batch": 64, "exp_gpus": "0,1"}, {"batch": 32, "gpus": [0, 1]}),
        ({"exp_docker": False}, {"runtime": "host"}),
        ({"exp_docker_image": "a/b:c"}, {"image": "a/b:c"}),
        ({"mxnet_docker_image": "a/b:c"}, {"image": "a/b:c"}),
        ({"pytorch_docker_image": "a/b:c"}, {}),
        ({"mxnet_data_dir": "/d"}, {"data": "/d"}),
        ({"exp_framework": "nvidia_caffe", "caffe_data_dir": "/d"}, {"data": "/d"}),
        ({"exp_framework": "nvidia_caffe", "nvidia_caffe.data_dir": "/d"}, {"data": "/d"}),
        ({"exp_framework": "tensorflow"}, {"framework": "tf_cnn_benchmarks"}),
        ({"exp_model": "resnet50"}, {"model": "resnet50_v1.5"}),
        ({"exp_model": "resnet50", "exp_framework": "intel_caffe"}, {"model": "resnet50"}),
        ({"exp_num_batches": "7"}, {"steps": 7}),
        ({"runtime_launcher": "A=1 B='2 3' taskset -c 0,1"},
         {"env": {"A": "1", "B": "2 3"}, "prefix": "taskset -c 0,1"}),
        ({"runtime.env.NO": "no"}, {"env": {"NO": "no"}}),
    ],
)  # fmt: skip
def test_a_parameter_has_its_key(changes, expected, capsys):
    before, after = only(of(), capsys), only(of(**changes), capsys)
    changed = {key: value for key, value in after.items() if before.get(key) != value}
    for key in ("framework", "model"):
        if key not in expected:
            changed.pop(key, None)
    assert changed == expected


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"exp_num_nodes": 2}, "exp.num_nodes is 2: one node is supported"),
        ({"exp_gpus": "0:1,2:3"}, "several GPUs per replica are not supported"),
        ({"exp_gpus": "a"}, "not GPU indices such as 0,1"),
        ({"exp_gpus": "0,0"}, "names a GPU twice"),
        ({"exp_effective_batch": 9, "exp_gpus": "0,1"}, "cannot be divided among 2 devices"),
        ({"exp_effective_batch": 9, "exp_replica_batch": 8}, "is not exp.effective_batch 9"),
        ({"exp_replica_batch": 0}, "the batch is 0; use 1 to 1,000,000"),
        ({"exp_replica_batch": "$(2 * 8)$"}, "'exp.replica_batch' has a Python expression"),
        ({"exp_replica_batch": True}, "exp.replica_batch is true, not a whole number"),
        ({"exp_dtype": "bfloat16"}, 'exp.dtype is "bfloat16"; DLBS knows float'),
        ({"exp_phase": "train"}, "DLBS knows training, inference"),
        ({"exp_framework": "mxnt"}, "'mxnt' is not a framework of DLBS, did you mean 'mxnet'?"),
        ({"exp_framework": ""}, "exp.framework is not set"),
        ({"exp_model": ""}, "exp.model is not set"),
        ({"exp_model": "text_cnn"}, "the network 'text_cnn' is not available for mxnet"),
        ({"exp_docker": "perhaps"}, 'exp.docker is "perhaps", not true or false'),
        ({"exp_data_dir": "${NOWHERE}/d"}, "${NOWHERE}, which is neither a parameter"),
        ({"runtime_launcher": "sh 'x"}, "No closing quotation"),
        ({"exp_status": "disabled"}, "all 1 benchmark of the plan are disabled"),
    ],
)  # fmt: skip
def test_what_cannot_be_carried_over_is_refused_by_name(changes, why, capsys):
    status, text, lines = imported(capsys, of(**changes))
    assert (status, text, len(lines)) == (2, "", 1)
    assert why in lines[0]


def test_benchmarks_that_cannot_run_are_left_out_and_counted(capsys):
    config = {"parameters": USUAL, "variables": {"exp.model": ["vgg16", "text_cnn", "vgg19"]}}
    status, text, notes = imported(capsys, config)
    assert status == 0
    assert [run["model"] for run, _ in runs(yaml.safe_load(text))] == ["vgg16", "vgg19"]
    assert notes == [
        "note: 1 of 3 benchmarks cannot run here and are left out: the network 'text_cnn' is not "
        "available for mxnet"
    ]


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"mxnet_kv_store": "device"}, 'mxnet.kv_store ("device") has no counterpart'),
        ({"exp_docker_args": "--rm"}, 'exp.docker_args ("--rm") has no counterpart'),
        ({"exp_rerun": "always", "monitor_frequency": 1},
         "not needed here: exp.rerun, monitor.frequency"),
        ({"exp_model": "googlenet"}, "is not DLBS's network: in DLBS it has other pools"),
        ({"exp_framework": "tensorflow"}, "tf_cnn_benchmarks needs its own folder"),
        ({"exp_docker_image": "hpe/mxnet:1"}, "the image hpe/mxnet:1 is built by DLBS: remove it"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_named(changes, note, capsys):
    status, text, notes = imported(capsys, of(**changes))
    assert status == 0
    assert len(notes) == 1
    assert note in notes[0]
    assert notes[0].removeprefix("note: ") in text


def test_labels_become_tags(capsys):
    config = of(exp_proj="My project!", exp_gpu_title="Tesla T4", exp_node_title="$(1)$")
    _, text, notes = imported(capsys, config)
    (group,) = yaml.safe_load(text)["groups"].values()
    assert group["tags"] == ["my-project", "tesla-t4"]
    assert notes == []


def test_a_condition_on_a_default_of_dlbs_sees_it(capsys):
    config = of() | {
        "extensions": [
            {"condition": {"exp.phase": "training"}, "parameters": {"exp.num_batches": 7}},
            {"condition": {"exp.dtype": "float16"}, "parameters": {"exp.num_batches": 9}},
        ]
    }
    assert only(config, capsys)["steps"] == 7


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({"mxnet.kv_store": "device"}, "whose default in DLBS is not known here; add mxnet.kv_s"),
        ({"exp.device_type": "gpu"}, "depends on others; DLBS refuses it too"),
    ],
)
def test_a_condition_on_what_dlbs_computes_is_refused(condition, said, capsys):
    config = of() | {"extensions": [{"condition": condition, "parameters": {"exp.proj": "x"}}]}
    status, _, lines = imported(capsys, config)
    assert status == 2
    assert said in lines[-1]


def test_an_empty_list_is_an_empty_plan(capsys):
    status, _, (line,) = imported(capsys, {"variables": {"exp.model": []}})
    assert status == 2
    assert "the plan is empty: the variable 'exp.model' has no values" in line


def test_options_are_enough(capsys):
    words = ['-Pexp.framework="mxnet"', '-Vexp.model=["vgg16","vgg19"]', "-Vexp.replica_batch=8"]
    words.append('-E{"condition":{"exp.model":"vgg19"},"parameters":{"exp.num_batches":5}}')
    assert main(["import-dlbs", *words]) == 0
    document = yaml.safe_load(capsys.readouterr().out)
    assert [(run["model"], run["batch"], run["steps"]) for run, _ in runs(document)] == [
        ("vgg16", 8, 100),
        ("vgg19", 8, 5),
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "a configuration is missing; type `benchdock import-dlbs FILE -o SUITE.yaml`"),
        (["none.json"], "cannot read none.json: No such file or directory"),
        (["sweep.json", "-o", "no/where.yaml"], "the folder no does not exist"),
        (["sweep.json", "-o", "sweep.json"], "sweep.json already exists"),
        (["-Pexp.model=vgg16"], "-P exp.model:1:1: this is not JSON"),
        (["-Pexp.model"], "'exp.model' is not of the form NAME=JSON"),
        (["-Pa=1", "-E[]"], "-E:1:1: an extension is [], not an object"),
    ],
)
def test_a_wrong_command_line_is_one_line(words, said, capsys):
    Path("sweep.json").write_text("{}")
    assert main(["import-dlbs", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_the_suite_is_written_and_never_over_a_file(capsys):
    Path("sweep.json").write_text(json.dumps(of()))
    assert main(["import-dlbs", "sweep.json", "-o", "suite.yaml"]) == 0
    assert capsys.readouterr().out == "wrote suite.yaml: 1 run of 1 benchmark\n"
    assert yaml.safe_load(Path("suite.yaml").read_text())["name"] == "sweep"


TEXTS = st.one_of(
    st.text(max_size=8), st.sampled_from(["no", "1:30", "1e5", "0x1f", "null", "~", "- a", "a: b"])
)
RUNS = st.lists(
    st.fixed_dictionaries(
        {"model": st.sampled_from(["a", "b", "c"]), "batch": st.sampled_from([1, 2, 4])},
        optional={
            "framework": st.sampled_from(["p", "q"]),
            "gpus": st.sampled_from([0, [0, 1], "none"]),
            "prefix": TEXTS.filter(bool),
            "env": st.dictionaries(st.sampled_from(["A", "B"]), TEXTS, max_size=2),
        },
    ),
    min_size=1,
    max_size=12,
)


def counted(pairs):
    found: dict[Any, int] = {}
    for run, repeat in pairs:
        found[frozen(run)] = found.get(frozen(run), 0) + repeat
    return found


@pytest.mark.slow
@given(RUNS)
def test_the_written_suite_has_exactly_these_runs(asked):
    entries = repeated((run, ()) for run in asked)
    text = write("x", entries, ("a note",))
    assert counted(runs(yaml.safe_load(text))) == counted((run, 1) for run in asked)


@pytest.mark.slow
@given(
    st.lists(st.sampled_from("abc"), min_size=1, unique=True),
    st.lists(st.integers(1, 9), min_size=1, unique=True),
    st.lists(st.sampled_from(["none", 0, 1]), min_size=1, unique=True),
)
def test_a_full_product_is_one_matrix(models, batches, gpus):
    product = [
        {"model": model, "batch": batch, "gpus": one, "image": f"i:{model}"}
        for model in models
        for batch in batches
        for one in gpus
    ]
    document = suite("x", [Entry(keys=run) for run in product])
    (group,) = document["groups"].values()
    assert len(runs(document)) == len(product)
    assert ("matrix" in group) == (len(product) > 1)
    assert list(group.get("matrix", {})) == [
        key for key, values in (("model", models), ("batch", batches), ("gpus", gpus)) if values[1:]
    ]
