"""How published results become claims: every row accounted for, every trap honoured."""

import json
from pathlib import Path

import pytest

from orchestrator.published import collection
from orchestrator.published import convert as convert_published
from orchestrator.published.convert import convert, render

SOURCE = Path(__file__).parents[2] / ".." / "shared" / "vendor_results.json"
DLE = "https://github.com/NVIDIA/DeepLearningExamples/blob/0/README.md"


def row(**values: object) -> dict[str, object]:
    return {
        "source_url": DLE,
        "source_title": "README: NVIDIA DGX-1 (8x V100 16G)",
        "date": "2020-06-12",
        "vendor": "NVIDIA",
        "container_or_version": "nvcr.io/nvidia/tensorflow:20.03-tf1-py3",
        "framework": "TensorFlow",
        "model": "resnet50 v1.5",
        "phase": "training",
        "precision": "AMP (mixed FP16)",
        "batch_per_gpu": 256,
        "num_gpus": 8,
        "gpu": "V100 16G",
        "metric": "images/s (total of all GPUs)",
        "value": 8277.91,
        "notes": "",
    } | values


@pytest.fixture(scope="module")
def rows() -> list[dict[str, object]]:
    if not SOURCE.exists():
        pytest.skip("the collection of published results is not beside this checkout")
    return json.loads(SOURCE.read_text(encoding="utf-8"))


def test_every_row_is_a_claim_or_dropped_for_a_reason(rows) -> None:
    claims, dropped = convert(rows)
    assert len(claims) + len(dropped) == len(rows) == 2568
    assert dropped == []
    assert [claim["value"] for claim in claims] == [each["value"] for each in rows]
    assert [claim["source"][0] for claim in claims] == [each["source_url"] for each in rows]


def test_the_shipped_data_is_what_the_tool_makes(rows) -> None:
    assert collection.DATA.read_text(encoding="utf-8") == render(convert(rows)[0])


def test_ids_do_not_depend_on_the_order_of_rows(rows) -> None:
    def ids(given) -> dict[str, str]:
        claims = convert(given)[0]
        return {json.dumps(claim | {"id": ""}, sort_keys=True): claim["id"] for claim in claims}

    assert ids(rows) == ids(rows[::-1])


def test_the_file_is_small_and_holds_no_free_text(rows) -> None:
    text = collection.DATA.read_text(encoding="utf-8")
    assert len(text.encode()) < 1_000_000
    for prose in {each["notes"] for each in rows if len(str(each["notes"])) > 20}:
        assert str(prose) not in text


def test_an_id_says_what_was_measured() -> None:
    (claim,), _ = convert([row(container_or_version="nvcr.io/nvidia/pytorch:20.06-py3",
                               framework="PyTorch")])  # fmt: skip
    assert claim["id"] == (
        "nvidia-dle-pytorch-20.06-resnet50_v1.5-v100-16gb-float16-training-b256x8"
    )


def test_equal_ids_are_told_apart_by_system_then_by_number() -> None:
    dgx_2 = row(source_title="README: NVIDIA DGX-2", date="2021-01-01")
    claims, _ = convert([row(), dgx_2, dgx_2 | {"source_url": DLE + "#2"}])
    endings = [claim["id"].partition("b256x8")[2] for claim in claims]
    assert endings == ["-dgx-1", "-dgx-2", "-dgx-2-2"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"value": 0}, "no throughput"),
        ({"value": None}, "no throughput"),
        ({"source_url": "https://example.org/"}, "unknown source"),
        ({"more": 1}, "keys"),
    ],
)
def test_what_cannot_be_used_is_dropped_with_a_reason(change, reason: str) -> None:
    claims, dropped = convert([row(**change)])
    assert claims == []
    assert reason in dropped[0][1]


@pytest.mark.parametrize(
    ("change", "conditions"),
    [
        ({}, ["amp"]),
        ({"notes": "XLA"}, ["amp", "xla"]),
        ({"notes": "heading: batch size = 224 & without xla"}, ["amp", "no-xla"]),
        ({"notes": "real data & batch size = 224 & withxla & with dali"},
         ["amp", "xla", "dali", "real"]),
        ({"notes": "x; no XLA, no DALI"}, ["amp", "no-xla", "no-dali"]),
        ({"notes": "4 node(s); synthetic data", "precision": "FP32"}, ["synthetic", "4-nodes"]),
        ({"notes": "system X_XLA_LambdaCloud; synthetic data, replicated; XLA"},
         ["amp", "xla", "synthetic"]),
        ({"metric": "ms per batch (forward+backward)", "precision": "FP32",
          "notes": "= 1 images/s; dropout and softmax ignored"}, ["no-dropout", "no-update"]),
    ],
)  # fmt: skip
def test_conditions_are_words_of_a_closed_set(change, conditions: list[str]) -> None:
    (claim,), _ = convert([row(**change)])
    assert claim["conditions"] == conditions


def doubted(code: str) -> list[collection.Claim]:
    return [
        claim
        for claim in collection.load()
        if any(each.partition(":")[0] == code for each in claim.suspect)
    ]


def test_numbers_printed_again_are_flagged() -> None:
    copies = doubted("repeats")
    assert {claim.framework for claim in copies} == {"tensorflow"}
    inference = [claim for claim in copies if claim.phase == "inference"]
    of_19_05 = [claim for claim in inference if "tensorflow:19.05" in str(claim.container)]
    assert len(of_19_05) == 17
    assert {claim.suspect for claim in of_19_05} == {("repeats:tensorflow:19.02-py3",)}
    multi_gpu = [
        claim
        for claim in copies
        if claim.phase == "training" and claim.gpus > 1 and "19.07" in str(claim.container)
    ]
    assert len(multi_gpu) >= 10


def test_two_equal_numbers_are_chance() -> None:
    early = row(container_or_version="nvcr.io/nvidia/mxnet:19.07-py3", framework="MXNet")
    late = early | {"container_or_version": "nvcr.io/nvidia/mxnet:20.12-py3"}
    pairs = [each | {"batch_per_gpu": n} for n in (1, 2) for each in (early, late)]
    assert not any(claim["suspect"] for claim in convert(pairs)[0])
    pairs += [each | {"batch_per_gpu": 3} for each in (early, late)]
    flagged = [claim for claim in convert(pairs)[0] if claim["suspect"]]
    assert len(flagged) == 3
    assert all("20.12" in claim["container"] for claim in flagged)


@pytest.mark.parametrize(
    ("code", "count", "container"),
    [
        ("speedup", 2, "mxnet:22.10"),
        ("heading", 10, "mxnet:19.07"),
        ("half-tag", 72, "17.12"),
        ("unsupported", 16, "tensorflow:18.07"),
    ],
)
def test_traps_of_one_container(code: str, count: int, container: str) -> None:
    found = doubted(code)
    assert len(found) == count
    assert all(container in str(claim.container) for claim in found)


def test_the_raw_columns_win_over_the_printed_speed_up() -> None:
    assert {claim.value for claim in doubted("speedup")} == {3410.52, 1055.78}


def test_containers_named_elsewhere_are_flagged() -> None:
    named = doubted("container")
    assert {claim.container for claim in named} == {
        "nvcr.io/nvidia/pytorch:18.09-py3",
        "nvcr.io/nvidia/tensorflow:19.04-py3",
    }


def test_k80_counts_are_flagged() -> None:
    k80 = [claim for claim in collection.load() if claim.gpu == "k80" and claim.gpus > 1]
    assert k80
    assert all("gpu-count" in claim.suspect for claim in k80)


def test_no_vendor_row_mixes_fp32_and_tf32() -> None:
    for claim in collection.load():
        if claim.program == "deeplearningexamples" and "a100" in str(claim.gpu):
            assert claim.precision != "float32"


def test_variants_of_a_model_are_kept_apart() -> None:
    by_program = {}
    for claim in collection.load():
        if claim.model.startswith("resnet50"):
            by_program.setdefault(claim.program, set()).add(claim.model)
    assert by_program["deeplearningexamples"] == {"resnet50_v1.5"}
    assert by_program["tf_cnn_benchmarks"] == {"resnet50"}
    assert by_program["mxnet_score"] == {"resnet50_v2"}
    assert by_program["timm"] == {"resnet50_v1.5"}
    assert all(
        claim.network for claim in collection.load() if claim.program == "tf_cnn_benchmarks"
        and claim.model in ("resnet50", "alexnet")
    )  # fmt: skip


def test_the_tool_says_how_to_call_it(monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["convert_published"])
    assert convert_published.main() == 2
    assert "usage" in capsys.readouterr().err


def test_the_tool_writes_what_loads(monkeypatch, tmp_path, capsys) -> None:
    source = tmp_path / "source.json"
    source.write_text(json.dumps([row(), row(value=-1)]), encoding="utf-8")
    made = tmp_path / "published.json"
    monkeypatch.setattr(convert_published, "DATA", made)
    monkeypatch.setattr("sys.argv", ["convert_published", str(source)])
    assert convert_published.main() == 0
    assert "1 claims, 1 dropped" in capsys.readouterr().err
    assert [claim.value for claim in collection.load(made)] == [8277.91]
