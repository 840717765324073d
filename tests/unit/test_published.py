"""The collection of published results and the command that lists it."""

import argparse
import collections
import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.cli import main
from orchestrator.commands import published as command
from orchestrator.errors import BenchdockError, ExitStatus, RequestError
from orchestrator.published import collection, collection_check
from orchestrator.published.collection import Filters

PROJECT = Path(__file__).parents[2]
CLAIM = "nvidia-dle-tensorflow-20.03-resnet50_v1.5-v100-16gb-float16-training-b256x8-xla"


def ask(**words: str) -> tuple[collection.Claim, ...]:
    claims = collection.load()
    return collection.find(claims, collection.resolve(Filters(**words), claims))


def run(**words: object) -> ExitStatus:
    filters = ("model", "framework", "gpu", "precision", "phase", "container")
    arguments = dict.fromkeys((*filters, "check")) | {"json": False} | words
    return command.execute(argparse.Namespace(**arguments))


def test_ids_are_unique_and_can_be_typed() -> None:
    claims = collection.load()
    assert len({claim.id for claim in claims}) == len(claims)
    for claim in claims:
        assert set(claim.id) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
        assert len(claim.id) <= 110


def test_a_claim_by_its_id() -> None:
    claim = collection.claim(CLAIM)
    assert claim.throughput == 9485.21
    assert (claim.gpus, claim.batch, claim.gpu, claim.system) == (8, 256, "v100-16gb", "dgx-1")
    assert claim.container == "nvcr.io/nvidia/tensorflow:20.03-tf1-py3"
    assert claim.conditions == ("amp", "xla", "real", "no-dali", "nchw", "dynamic-loss-scale")
    assert claim.code is not None
    assert str(claim.code).startswith("NVIDIA/DeepLearningExamples fed7ba99")
    assert "DeepLearningExamples" in claim.source.url
    assert claim.source.date == "2020-06-12"


def test_an_unknown_id_is_answered_with_the_nearest() -> None:
    with pytest.raises(RequestError, match=f"did you mean {CLAIM!r}"):
        collection.claim(CLAIM.replace("xla", "xxla"))


def test_the_command_named_for_an_unknown_claim_prints_ids(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(RequestError) as refused:
        collection.claim("zzz")
    listing = re.search(r"`benchdock (published .*)` lists them", str(refused.value))
    assert listing is not None
    assert main(listing[1].replace("NAME", "vgg16").split()) == ExitStatus.OK
    assert "u39kun-caffe2-17.12-vgg16-titan-v-float32-inference-b16x1" in capsys.readouterr().out


def test_milliseconds_become_samples_per_second() -> None:
    claim = collection.claim("u39kun-caffe2-17.12-vgg16-titan-v-float32-inference-b16x1")
    assert (claim.value, claim.unit) == (57.5, "ms/batch")
    assert claim.throughput == pytest.approx(278.26, abs=0.01)


def test_no_throughput_is_implausible() -> None:
    assert all(0.1 < claim.throughput < 1e6 for claim in collection.load())


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ({"framework": "caffe2"}, 16),
        ({"gpu": "NVIDIA H200"}, 6),
        ({"model": "ResNet-50 v1.5", "framework": "mxnet"}, 134),
        ({"container": "mxnet:22.10"}, 17),
        ({"container": "nvcr.io/nvidia/mxnet:22.10-py3"}, 17),
        ({"container": "22.10"}, 17),
        ({"precision": "int8"}, 81),
        ({"phase": "training", "gpu": "v100-sxm2-16gb", "framework": "tensorflow"}, 29),
    ],
)
def test_filters(words: dict[str, str], count: int) -> None:
    assert len(ask(**words)) == count


def test_a_model_is_listed_with_its_variants_apart() -> None:
    models = {claim.model for claim in ask(model="resnet50")}
    assert models == {"resnet50", "resnet50_v1.5", "resnet50_v2"}
    assert {claim.model for claim in ask(model="resnet50_v1.5")} == {"resnet50_v1.5"}


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ({"model": "resnt50"}, "resnet50"),
        ({"framework": "pytroch"}, "pytorch"),
        ({"gpu": "v10"}, "v100"),
        ({"precision": "flot16"}, "float16"),
        ({"phase": "trainning"}, "training"),
        ({"container": "pytorch-20"}, "pytorch:"),
    ],
)
def test_a_mistyped_filter_is_answered_with_the_nearest(words: dict[str, str], hint: str) -> None:
    with pytest.raises(RequestError, match=f"did you mean '{hint}"):
        run(**words)


def test_an_empty_result_says_what_there_is(capsys) -> None:
    assert run(model="vgg16", framework="caffe2", gpu="h100") == ExitStatus.OK
    out = capsys.readouterr().out
    assert "no published result has model vgg16, framework caffe2, gpu h100" in out
    assert "without --gpu h100 there are 8, with gtx-1080-ti, titan-v" in out


@pytest.mark.parametrize(
    "words",
    [{"model": "deep_speech2"}, {"gpu": "b200"}, {"container": "nvcr.io/nvidia/pytorch:25.01-py3"}],
)
def test_a_name_without_published_results_is_not_a_mistake(words: dict[str, str], capsys) -> None:
    assert run(**words) == ExitStatus.OK
    assert "no published result" in capsys.readouterr().out


def test_json_is_one_document(capsys) -> None:
    assert run(framework="caffe2", json=True) == ExitStatus.OK
    document = json.loads(capsys.readouterr().out)
    assert len(document["claims"]) == 16
    first = document["claims"][0]
    assert first["throughput"]["unit"] == "samples/s"
    assert first["source"]["url"].startswith("https://")
    assert document["nearest"] == []


def test_doubts_and_sources_are_explained_below_the_table(capsys) -> None:
    run(container="mxnet:22.10", phase="training")
    out = capsys.readouterr().out
    assert "speedup: the source's own speed-up column" in out
    assert "github.com/NVIDIA/DeepLearningExamples" in out
    assert "never compare with v1" in out


def test_without_a_filter_there_is_an_overview(capsys) -> None:
    run()
    out = capsys.readouterr().out
    assert len(out.splitlines()) < 30
    assert "convnet-benchmarks" in out


def test_every_doubt_has_a_sentence() -> None:
    for claim in collection.load():
        assert all("{" not in sentence for sentence in claim.doubts())


def test_the_command_loads_nothing_heavy() -> None:
    program = (
        "import sys; from orchestrator.commands import published; "
        "from orchestrator.published import collection as data; data.load(); "
        "print([name for name in ('pydantic', 'rich', 'docker', 'numpy') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def damaged(tmp_path: Path, old: str, new: str) -> Path:
    """Write the first claims of the collection with one text replaced."""
    data = json.loads(collection.DATA.read_text(encoding="utf-8"))
    data["claims"] = data["claims"][:40]
    for key, table in (("source", "sources"), ("code", "code"), ("network", "networks")):
        used = {claim.get(key) for claim in data["claims"]}
        data[table] = {name: row for name, row in data[table].items() if name in used}
    text = json.dumps(data)
    assert old in text
    path = tmp_path / "published.json"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"schema": 2', '"schema": 3', "schema 3 is not 2"),
        ('"schema": 2', '"schema":', "Expecting value"),
        ('"networks":', '"network":', "networks"),
        ('"source": "nvidia-dle-1"', '"source": "nvidia-dle-0"', "'nvidia-dle-0' is missing"),
        ('"code": "dle-', '"code": "gone-', "'gone-"),
        ('"network": "v1.5"', '"network": "v9"', "'v9' is missing"),
        ('"batch": 1', '"bacth": 1', "unknown key 'bacth'"),
        ('"phase": "training", ', "", "'phase' is missing"),
        ('"images/s"', '"furlongs"', "unit 'furlongs'"),
        ('"value": 747.3', '"value": -747.3', "-747.3"),
        ('"suspect": ["container"', '"suspect": ["gossip"', "unknown doubt 'gossip'"),
    ],
)
def test_damaged_data_is_named(tmp_path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(BenchdockError, match=complaint) as caught:
        collection.load(damaged(tmp_path, old, new))
    assert "benchdock published --check" in str(caught.value)


@pytest.mark.slow
def test_the_collection_has_no_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["published", "--check"]) == ExitStatus.OK
    assert capsys.readouterr().out == "published.json: no mistakes\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"value": 747.3', '"value": "747.3"', "value: it should be a valid number"),
        ('"value": 747.3', '"value": 747.3, "value": 1', "duplicate 'value'"),
        ('"amp", "real", "nchw"]', '"amp", "real", "ncwh"]', "did you mean 'nchw'?"),
        ('"amp", "real", "nchw"]', '"real", "nhwc", "nchw"]', "name the layout 2 times"),
        ('"gpu": "v100-16gb"', '"gpu": "V100 16G"', "must be written 'v100-16gb'"),
        ('"precision": "float16"', '"precision": "FP16"', "precision: it should be"),
        ('"source": "nvidia-dle-1"', '"source": "nvidia-dle-01"', "unknown source"),
        ('"code": {', '"code": {"dle-unused": {"repository": "a/b"}, ',
         "no claim uses code dle-unused"),
        ('"revision": "3ac7dc4957', '"revision": "-3ac7dc4957', "revision: String should match"),
        ('"container": "nvcr.io/nvidia/pytorch:18.09-py3"', '"container": "18.09"', "container"),
        ('"sources": {', '"sources": [], "gone": {', "must have networks"),
    ],
)  # fmt: skip
def test_every_mistake_of_an_edit_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, complaint: str
) -> None:
    path = damaged(tmp_path, old, new)
    assert main(["published", "--check", str(path)]) == ExitStatus.BAD_REQUEST
    out = capsys.readouterr().out
    assert complaint in out
    assert "Traceback" not in out


def test_two_claims_of_one_id_are_named(tmp_path: Path) -> None:
    path = damaged(tmp_path, "747.3", "747.3")
    data = json.loads(path.read_text(encoding="utf-8"))
    data["claims"].append(data["claims"][0])
    path.write_text(json.dumps(data), encoding="utf-8")
    assert any("appears 2 times" in mistake for mistake in collection_check.mistakes(path))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["id", "source", "code", "conditions", "suspect", "value", "gpu", "batch"]),
    st.none() | st.booleans() | st.text(max_size=5) | st.lists(st.text(max_size=3), max_size=2)
    | st.dictionaries(st.text(max_size=2), st.integers(), max_size=1) | st.floats(),
)  # fmt: skip
def test_whatever_is_typed_into_a_row_ends_in_words(tmp_path_factory, key, value) -> None:
    row = {
        "id": "x", "source": "s", "model": "vgg16", "framework": "pytorch", "program": "timm",
        "phase": "training", "gpus": 1, "value": 1.0, "unit": "images/s",
    }  # fmt: skip
    source = {"url": "https://example.org", "title": "t", "publisher": "p"}
    data = {"schema": 2, "networks": {}, "code": {}, "sources": {"s": source}}
    path = tmp_path_factory.getbasetemp() / "typed.json"
    path.write_text(json.dumps(data | {"claims": [row | {key: value}]}), encoding="utf-8")
    found = collection_check.mistakes(path)
    collection.load.cache_clear()
    with contextlib.suppress(BenchdockError) if found else contextlib.nullcontext():
        collection.load(path)


def test_the_stated_cost_of_a_dataset_is_that_of_the_collection() -> None:
    """`reproduce.toml` says that nine of ten pairs differ by less than 10 %."""
    pairs: dict[tuple[object, ...], dict[str, float]] = collections.defaultdict(dict)
    about_data = {"real", "synthetic", "dali", "no-dali"}
    for claim in collection.load():
        rest = tuple(sorted(set(claim.conditions) - about_data))
        key = (claim.program, claim.version, claim.container, claim.model, claim.gpu, claim.gpus,
               claim.system, claim.batch, claim.precision, claim.phase, rest)  # fmt: skip
        for word in about_data & {"real", "synthetic"} & set(claim.conditions):
            pairs[key][word] = claim.throughput
    ratios = [both["synthetic"] / both["real"] for both in pairs.values() if len(both) == 2]
    assert len(ratios) > 50
    assert 0.85 < sum(ratio < 1.1 for ratio in ratios) / len(ratios) < 0.95
