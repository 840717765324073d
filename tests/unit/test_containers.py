"""Which image can work on which GPU: the rule, the sentences, the data."""

import tomllib

import pytest

from orchestrator import container_table, containers
from orchestrator.container_table import CatalogueError
from orchestrator.errors import RequestError

NGC = "nvcr.io/nvidia/"
V100 = ("Tesla V100-SXM2-16GB", "7.0")
T4 = ("Tesla T4", "7.5")
A100 = ("NVIDIA A100-SXM4-40GB", "8.0")
RTX_3090 = ("NVIDIA GeForce RTX 3090", "8.6")
RTX_4090 = ("NVIDIA GeForce RTX 4090", "8.9")
H200 = ("NVIDIA H200", "9.0")
B200 = ("NVIDIA B200", "10.0")
RTX_5090 = ("NVIDIA GeForce RTX 5090", "12.0")


def judge(image: str, gpu: tuple[str, str], driver: str | None = None) -> str:
    found = containers.assess(image, [gpu], driver)
    assert found.row is not None
    return "no" if found.refusal else "warned" if found.warnings else "yes"


# The architecture table: one line per era, columns Volta, Turing, Ampere, Ada, Hopper, Blackwell.
ERAS = {
    "bvlc/caffe:gpu": "warned warned no no no no",
    f"{NGC}caffe2:17.11-py2": "yes warned no no no no",
    f"{NGC}caffe2:18.08-py3": "yes warned no no no no",
    f"{NGC}tensorflow:18.08-py3": "yes warned no no no no",
    f"{NGC}theano:18.08": "yes warned no no no no",
    f"{NGC}mxnet:18.09-py3": "yes yes no no no no",
    f"{NGC}tensorflow:20.03-tf1-py3": "yes yes no no no no",
    f"{NGC}caffe:20.03-py3": "yes yes no no no no",
    f"{NGC}pytorch:20.06-py3": "yes yes yes warned no no",
    f"{NGC}tensorrt:22.07-py3": "yes yes yes warned no no",
    f"{NGC}tensorflow:22.10-tf2-py3": "yes yes yes yes yes no",
    f"{NGC}mxnet:24.06-py3": "yes yes yes yes yes no",
    f"{NGC}pytorch:24.12-py3": "yes yes yes yes yes no",
    f"{NGC}pytorch:25.01-py3": "no yes yes yes yes yes",
    f"{NGC}jax:26.07-py3": "no yes yes yes yes yes",
}
CASES = [
    (image, gpu, expected)
    for image, line in ERAS.items()
    for gpu, expected in zip((V100, T4, A100, RTX_4090, H200, B200), line.split(), strict=True)
]


@pytest.mark.parametrize(("image", "gpu", "expected"), CASES)
def test_architecture_table(image: str, gpu: tuple[str, str], expected: str) -> None:
    assert judge(image, gpu) == expected


@pytest.mark.parametrize(
    ("image", "gpu", "expected"),
    [
        (f"{NGC}tensorflow:18.02-py3", ("Tesla K80", "3.7"), "no"),  # the banner of 18.02 says so
        (f"{NGC}tensorflow:17.12-py3", ("Tesla K80", "3.7"), "warned"),
        (f"{NGC}tensorflow:18.07-py3", ("Quadro M6000", "5.2"), "warned"),
        (f"{NGC}tensorflow:18.11-py3", ("Quadro M6000", "5.2"), "no"),  # 6.0+ is stated
        (f"{NGC}tensorrt:18.12-py3", ("Tesla K80", "3.7"), "yes"),  # 3.0+ is stated
        (f"{NGC}pytorch:25.01-py3", ("Tesla P100", "6.0"), "no"),
        (f"{NGC}pytorch:25.01-py3", RTX_5090, "yes"),
        (f"{NGC}pytorch:25.01-py3", ("GB10", "12.1"), "warned"),
        (f"{NGC}pytorch:26.01-py3", ("some later GPU", "14.0"), "warned"),
        (f"{NGC}pytorch:20.06-py3", RTX_3090, "warned"),  # runs binaries for 8.0
        (f"{NGC}pytorch:20.12-py3", RTX_3090, "yes"),
    ],
)
def test_edges_of_the_table(image: str, gpu: tuple[str, str], expected: str) -> None:
    assert judge(image, gpu) == expected


def test_caffe2_on_an_h200_says_what_to_do_instead() -> None:
    found = containers.assess(f"{NGC}caffe2:18.08-py3", [H200], "570.86.15")
    assert found.refusal == (
        "caffe2:18.08-py3 was built with CUDA 9.0 (2018) for GPUs up to compute capability 7.0. "
        "This GPU is 9.0 (Hopper), which needs CUDA 11.8 or newer. Caffe2 has no newer NGC image: "
        "use a Pascal, Volta or Turing GPU, or benchmark the model with pytorch."
    )


def test_a_v100_is_sent_to_an_older_image() -> None:
    found = containers.assess(f"{NGC}pytorch:25.03-py3", [V100], "570.86.15")
    assert found.refusal is not None
    assert "This GPU is 7.0 (Volta)" in found.refusal
    assert "this image needs compute capability 7.5+; use an older one" in found.refusal
    older = found.refusal.rpartition("such as ")[2].rstrip(".")
    assert judge(older, V100) == "yes"


@pytest.mark.parametrize("tag", ["18.07-py3", "20.03-tf1-py3", "20.03-tf2-py3", "18.07-py2"])
def test_a_newer_image_is_named_and_works(tag: str) -> None:
    found = containers.assess(f"{NGC}tensorflow:{tag}", [H200])
    assert found.refusal is not None
    newer = found.refusal.rpartition("from ")[2].removesuffix(" on.")
    assert judge(newer, H200) == "yes"
    if "tf1" in tag:
        assert newer.endswith("-tf1-py3")


def test_no_newer_image_is_named_where_the_family_ended_too_early() -> None:
    found = containers.assess(f"{NGC}mxnet:20.03-py3", [B200])
    assert found.refusal is not None
    assert "No NGC image of MXNet can, the last is 24.06-py3" in found.refusal


@pytest.mark.parametrize(
    ("image", "gpu", "driver", "expected"),
    [
        (f"{NGC}tensorflow:20.03-tf1-py3", T4, "440.33.01", "yes"),
        (f"{NGC}tensorflow:20.03-tf1-py3", T4, "418.87", "warned"),  # an allowed branch
        (f"{NGC}tensorflow:20.03-tf1-py3", T4, "384.90", "no"),  # 384.111 at least
        (f"{NGC}tensorflow:20.03-tf1-py3", T4, "390.116", "no"),  # a branch that is not allowed
        (f"{NGC}tensorflow:20.03-tf1-py3", ("GeForce RTX 2080 Ti", "7.5"), "418.87", "no"),
        (f"{NGC}tensorflow:22.10-tf2-py3", A100, "470.57", "warned"),  # "450+"
        (f"{NGC}tensorflow:22.10-tf2-py3", A100, "440.100", "no"),
        (f"{NGC}mxnet:24.06-py3", A100, "535.54", "warned"),  # no branches are stated
        (f"{NGC}pytorch:24.01-py3", A100, "470.57", "warned"),  # only the era asks for 520
        (f"{NGC}pytorch:24.01-py3", A100, "570.1", "yes"),
    ],
)
def test_driver(image: str, gpu: tuple[str, str], driver: str, expected: str) -> None:
    assert judge(image, gpu, driver) == expected


def test_one_gpu_of_several_decides() -> None:
    image = f"{NGC}caffe2:18.08-py3"
    assert containers.assess(image, [V100, H200]).refusal is not None
    assert containers.assess(image, [V100, V100]).refusal is None


def test_without_a_gpu_nothing_is_refused() -> None:
    assert containers.assess(f"{NGC}caffe2:18.08-py3", [], "1.0").refusal is None
    assert containers.assess("bvlc/caffe:cpu", []).refusal is None


@pytest.mark.parametrize(
    "image",
    [
        "debian:bookworm",
        f"{NGC}pytorch",
        f"{NGC}pytorch:latest",
        f"{NGC}pytorch@sha256:{'a' * 64}",
        f"{NGC}pytorch:20.04-py3",  # no release of that month is known
        "bvlc/caffe:opencl",
    ],
)
def test_an_unknown_image_is_allowed_with_a_note(image: str) -> None:
    found = containers.assess(image, [H200], "570.1")
    assert found.refusal is None
    assert found.row is None
    assert len(found.warnings) == 1
    assert "nothing is known" in found.warnings[0]


def test_a_tag_after_the_last_is_noted_and_still_judged() -> None:
    found = containers.assess(f"{NGC}caffe2:19.05-py3", [V100])
    assert "the last NGC image of Caffe2 is 18.08-py3" in found.warnings[0]
    assert containers.assess(f"{NGC}caffe2:19.05-py3", [H200]).refusal is not None


def test_a_mirror_of_the_vendors_image_is_known() -> None:
    found = containers.assess("registry.example:5000/mirror/nvidia/caffe2:18.08-py3", [H200])
    assert found.refusal is not None


def test_junk_is_a_wrong_request() -> None:
    with pytest.raises(RequestError, match="not an image reference"):
        containers.assess("NVCR.io/Nvidia/Caffe2:18.08 py3", [])


def test_a_release_states_and_the_era_fills_up() -> None:
    row = containers.assess(f"{NGC}tensorflow:18.07-py3", []).row
    assert row is not None
    assert (row.facts.version, row.facts.cuda, row.facts.python) == ("1.8.0", "9.0.176", "3.5")
    assert row.facts.architectures == ("6.0", "6.1", "7.0")
    assert "architectures" not in row.stated
    assert [program.path for program in row.programs] == ["/workspace/nvidia-examples/cnn"]
    assert "resnet.py" in row.programs[0].what
    assert row.family.settings.shm_size == "1g"
    assert row.family.settings.ulimits == {"memlock": -1, "stack": 67108864}


@pytest.mark.parametrize(("tag", "script"), [("18.05-py3", "nvcnn.py"), ("18.06-py3", "resnet.py")])
def test_examples_changed_with_18_06(tag: str, script: str) -> None:
    row = containers.assess(f"{NGC}tensorflow:{tag}", []).row
    assert row is not None
    assert script in row.programs[0].what


def test_overview_has_every_family_and_no_empty_image() -> None:
    rows = containers.overview()
    assert {row["family"] for row in rows} == set(container_table.shipped().families)
    by_image = {row["image"]: row for row in rows}
    assert by_image["nvcr.io/nvidia/caffe2:18.08"]["framework_version"] == "0.8.1"
    assert by_image["nvcr.io/nvidia/mxnet:24.05 to 24.06"]["driver"] == "545"
    assert by_image["nvcr.io/nvidia/jax:23.10"]["cuda"] == "11.8"


def test_eras_do_not_overlap_and_every_last_tag_has_one() -> None:
    table = container_table.shipped()
    for earlier, later in zip(table.eras, table.eras[1:], strict=False):
        assert earlier.last < later.first
    for family in table.families.values():
        if family.last:
            assert table.row(family, family.last_tag, family.last) is not None
            assert family.last_tag.startswith(family.last)


def test_capabilities_have_a_generation_and_a_cuda() -> None:
    table = container_table.shipped()
    for era in table.eras:
        for capability in era.architectures:
            assert containers.generation(capability)
            assert containers._cuda_for(table, capability)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('driver = "384"', 'driver = "new"'), "driver"),
        (('cuda = "9.0"', 'cudo = "9.0"'), "cudo"),
        (('settings = "ngc"', 'settings = "ngx"'), "ngx"),
        (("schema = 1", "schema = 2"), "schema"),
        (("schema = 1", "schema 1"), "cannot be read"),
        (('"7.0"]', '"seven"]'), "architectures"),
    ],
)
def test_damaged_data_is_named(tmp_path, change: tuple[str, str], complaint: str) -> None:
    text = container_table.CATALOGUE.read_text(encoding="utf-8")
    damaged = tmp_path / "containers.toml"
    damaged.write_text(text.replace(*change, 1), encoding="utf-8")
    assert text != damaged.read_text(encoding="utf-8")
    with pytest.raises(CatalogueError, match=complaint):
        container_table.load(damaged)


def test_missing_data_is_named(tmp_path) -> None:
    with pytest.raises(CatalogueError, match="cannot be read"):
        container_table.load(tmp_path / "none.toml")


def test_the_file_is_plain_toml() -> None:
    assert tomllib.loads(container_table.CATALOGUE.read_text(encoding="utf-8"))["schema"] == 1
