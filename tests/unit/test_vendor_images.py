"""Which image can work on which GPU: the rule, the sentences, the data."""

import tomllib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import RequestError
from orchestrator.images import image_table
from orchestrator.images.reference import parse_reference
from orchestrator.vendor_images import gpu_support, listed, proven, vendor_table
from orchestrator.vendor_images.vendor_table import VendorTableError

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
    found = gpu_support.assess(image, [gpu], driver)
    assert found.image is not None
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
    found = gpu_support.assess(f"{NGC}caffe2:18.08-py3", [H200], "570.86.15")
    assert found.refusal == (
        "caffe2:18.08-py3 was built with CUDA 9.0 (2018) for GPUs up to compute capability 7.0. "
        "This GPU is 9.0 (Hopper), which needs CUDA 11.8 or newer. Caffe2 has no newer NGC image: "
        "use a Pascal, Volta or Turing GPU, or benchmark the model with pytorch."
    )


def test_a_v100_is_sent_to_an_older_image() -> None:
    found = gpu_support.assess(f"{NGC}pytorch:25.03-py3", [V100], "570.86.15")
    assert found.refusal != ""
    assert "This GPU is 7.0 (Volta)" in found.refusal
    assert "this image needs compute capability 7.5+; use an older one" in found.refusal
    older = found.refusal.rpartition("such as ")[2].rstrip(".")
    assert judge(older, V100) == "yes"


@pytest.mark.parametrize("tag", ["18.07-py3", "20.03-tf1-py3", "20.03-tf2-py3", "18.07-py2"])
def test_a_newer_image_is_named_and_works(tag: str) -> None:
    found = gpu_support.assess(f"{NGC}tensorflow:{tag}", [H200])
    assert found.refusal != ""
    newer = found.refusal.rpartition("from ")[2].removesuffix(" on.")
    assert judge(newer, H200) == "yes"
    if "tf1" in tag:
        assert newer.endswith("-tf1-py3")


def test_no_newer_image_is_named_if_the_family_ended_too_early() -> None:
    found = gpu_support.assess(f"{NGC}mxnet:20.03-py3", [B200])
    assert found.refusal != ""
    assert "No NGC image of MXNet supports it, the last one is 24.06-py3" in found.refusal


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
        (f"{NGC}mxnet:24.06-py3", A100, "535.86", "warned"),  # 535.86 or later of 535
        (f"{NGC}mxnet:24.06-py3", A100, "535.54", "no"),
        (f"{NGC}mxnet:19.06-py3", T4, "410.79", "warned"),  # no branches are stated
        (f"{NGC}pytorch:24.06-py3", RTX_4090, "525.105", "no"),  # a workstation GPU
        (f"{NGC}pytorch:24.01-py3", A100, "470.57", "warned"),  # only the era asks for 520
        (f"{NGC}pytorch:24.01-py3", A100, "570.1", "yes"),
    ],
)
def test_driver(image: str, gpu: tuple[str, str], driver: str, expected: str) -> None:
    assert judge(image, gpu, driver) == expected


def test_one_gpu_of_several_decides() -> None:
    image = f"{NGC}caffe2:18.08-py3"
    assert gpu_support.assess(image, [V100, H200]).refusal != ""
    assert gpu_support.assess(image, [V100, V100]).refusal == ""


def test_without_a_gpu_nothing_is_refused() -> None:
    assert gpu_support.assess(f"{NGC}caffe2:18.08-py3", [], "1.0").refusal == ""
    assert gpu_support.assess("bvlc/caffe:cpu", []).refusal == ""


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
    found = gpu_support.assess(image, [H200], "570.1")
    assert found.refusal == ""
    assert found.image is None
    assert len(found.warnings) == 1
    assert "it is unknown" in found.warnings[0]


def test_a_tag_after_the_last_is_noted_and_still_judged() -> None:
    found = gpu_support.assess(f"{NGC}caffe2:19.05-py3", [V100])
    assert "the last NGC image of Caffe2 is 18.08-py3" in found.warnings[0]
    assert gpu_support.assess(f"{NGC}caffe2:19.05-py3", [H200]).refusal != ""


def test_a_mirror_of_the_vendors_image_is_known() -> None:
    found = gpu_support.assess("registry.example:5000/mirror/nvidia/caffe2:18.08-py3", [H200])
    assert found.refusal != ""


TABLE = vendor_table.shipped()
MONTHS = st.builds("{:02}.{:02}".format, st.integers(16, 30), st.integers(1, 12))
TAGS = st.one_of(
    st.builds("{}{}".format, MONTHS, st.sampled_from(["", "-py2", "-py3", "-tf1-py3", "-x"])),
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
)
REFERENCES = st.builds(
    "{}:{}".format, st.sampled_from([f.repository for f in TABLE.families.values()]), TAGS
)
CAPABILITIES = st.one_of(
    st.builds("{}.{}".format, st.integers(0, 15), st.integers(0, 9)),
    st.builds(str, st.integers(0, 20)),
    st.text(max_size=6),
)
GPUS = st.lists(st.tuples(st.text(max_size=20), CAPABILITIES), max_size=3)
DRIVERS = st.one_of(
    st.none(), st.builds("{}.{}".format, st.integers(300, 700), st.integers(0, 200))
)


@pytest.mark.slow
@settings(max_examples=300)
@given(REFERENCES, GPUS, st.one_of(DRIVERS, st.text(max_size=8)))
def test_any_image_on_any_gpu_is_assessed(
    reference: str, gpus: list[tuple[str, str]], driver: str | None
) -> None:
    found = gpu_support.assess(reference, gpus, driver)
    assert found.refusal == "" or (gpus and found.image is not None)


@pytest.mark.slow
@given(st.text(max_size=40), GPUS)
def test_any_text_is_assessed_or_a_wrong_request(
    reference: str, gpus: list[tuple[str, str]]
) -> None:
    with suppress(RequestError):
        assert gpu_support.assess(reference, gpus).refusal == ""


@pytest.mark.slow
@given(st.sampled_from(list(image_table.load().images.values())), GPUS, DRIVERS)
def test_any_image_of_ours_on_any_gpu_is_assessed(
    image: image_table.Image, gpus: list[tuple[str, str]], driver: str | None
) -> None:
    found = listed.assess_built(image, gpus, driver)
    assert found.refusal == "" or image.tag in found.refusal


def ours(gpu: tuple[str, str], driver: str | None = "580.65") -> gpu_support.GpuSupport:
    return listed.assess_built(image_table.load().image("pytorch-gpu"), [gpu], driver)


@pytest.mark.parametrize("gpu", [T4, A100, RTX_3090, RTX_4090, H200, B200, RTX_5090])
def test_our_gpu_image_works_on_what_its_packages_were_compiled_for(gpu: tuple[str, str]) -> None:
    assert (ours(gpu).refusal, ours(gpu).warnings) == ("", ())


@pytest.mark.parametrize("gpu", [V100, ("Tesla P100-PCIE-16GB", "6.0")])
def test_our_gpu_image_names_one_for_an_older_gpu(gpu: tuple[str, str]) -> None:
    refusal = ours(gpu).refusal or ""
    assert "was built for GPUs of compute capability 7.5 or newer" in refusal
    assert judge(refusal.rpartition("--image ")[2], gpu, "580.65") != "no"


def test_our_gpu_image_needs_its_driver_on_data_centre_gpus_too() -> None:
    refusal = ours(H200, "550.54.15").refusal or ""
    assert "needs NVIDIA driver 580 or newer, and this machine has 550.54.15" in refusal
    assert judge(refusal.rpartition("--image ")[2], H200, "550.54.15") == "yes"


@pytest.mark.parametrize(
    ("image", "gpu", "driver", "expected"),
    [
        ("pytorch-gpu", H200, "580.65", None),
        ("pytorch-gpu", V100, "580.65", f"{NGC}pytorch:24.12-py3"),
        ("pytorch-gpu", H200, "550.54", f"{NGC}pytorch:24.05-py3"),
        ("ngc-tensorflow-25-02", V100, "580.65", f"{NGC}tensorflow:24.12-tf2-py3"),
        ("ngc-tensorflow-25-02", H200, "580.65", None),
        ("ngc-caffe2-18-08", H200, "580.65", None),  # there is none
    ],
)
def test_another_month_stands_in(
    monkeypatch: pytest.MonkeyPatch,
    image: str,
    gpu: tuple[str, str],
    driver: str,
    expected: str | None,
) -> None:
    monkeypatch.setattr(proven, "covers", lambda _: False)  # else only what was proven
    assert listed.substitute(image_table.load().image(image), [gpu], driver) == expected


def test_a_gpu_of_tomorrow_is_refused_since_our_image_holds_nothing_to_compile() -> None:
    found = ours(("some later GPU", "14.0"))
    assert found.refusal != ""
    assert "has no kernels for compute capability 14.0, and none that a driver" in found.refusal


def test_a_gpu_that_tells_no_capability_is_not_judged() -> None:
    assert ours(("a board that does not tell", "")).refusal == ""
    assert gpu_support.assess(f"{NGC}caffe2:18.08-py3", [("silent", "")]).refusal == ""


def test_junk_is_a_wrong_request() -> None:
    with pytest.raises(RequestError, match="not an image reference"):
        gpu_support.assess("NVCR.io/Nvidia/Caffe2:18.08 py3", [])


def test_a_release_states_and_the_era_fills_up() -> None:
    row = gpu_support.assess(f"{NGC}tensorflow:18.07-py3", []).image
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
    row = gpu_support.assess(f"{NGC}tensorflow:{tag}", []).image
    assert row is not None
    assert script in row.programs[0].what


def test_eras_do_not_overlap_and_every_last_tag_has_one() -> None:
    table = vendor_table.shipped()
    for earlier, later in zip(table.eras, table.eras[1:], strict=False):
        assert earlier.last < later.first
    for family in table.families.values():
        if family.last:
            assert table.image_of(family, family.last_tag, family.last) is not None
            assert family.last_tag.startswith(family.last)


def test_capabilities_have_a_generation_and_a_cuda() -> None:
    table = vendor_table.shipped()
    for era in table.eras:
        for capability in era.architectures:
            assert gpu_support.generation(capability)
            assert gpu_support._cuda_for(table, capability)


def test_one_table_states_the_facts_of_a_vendors_image() -> None:
    for image in image_table.load().images.values():
        facts = listed.facts_of(image)
        if image.source == "vendor":
            assert (image.cuda, image.driver, image.compute_capabilities) == (None, None, ())
            row = TABLE.describe(parse_reference(image.reference))
            assert row is not None, image.id
            assert {"cuda", "driver"} <= row.stated, image.id
            assert facts == row.facts
        if image.device == "gpu":
            assert facts.cuda, image.id
            assert facts.driver, image.id
            assert facts.architectures, image.id


# NVIDIA's own exception: the MXNet of 24.06 was built with the CUDA of 24.05.
OTHER_CUDA = {("mxnet", "24.05")}


def test_an_image_has_one_cuda_version_in_every_table() -> None:
    seen = 0
    for family in TABLE.families.values():
        for release in family.releases:
            for month in {release.first, release.last} - {""}:
                era = next((e for e in TABLE.eras if e.first <= month <= (e.last or "99")), None)
                if not release.cuda or era is None or (family.name, release.first) in OTHER_CUDA:
                    continue
                seen += 1
                short = ".".join(release.cuda.split(".")[:2])
                assert short == era.cuda, (family.name, month)
    assert seen > 20


@pytest.mark.parametrize(
    ("tag", "cuda"),
    [("19.03", "10.1"), ("19.11", "10.2"), ("21.03", "11.2"), ("22.03", "11.6"), ("23.07", "12.1"),
     ("24.06", "12.5")],
)  # fmt: skip
def test_a_month_has_the_cuda_of_its_release_notes(tag: str, cuda: str) -> None:
    row = TABLE.describe(parse_reference(f"{NGC}pytorch:{tag}-py3"))
    assert row is not None
    assert row.facts.cuda == cuda


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (('driver = "384"', 'driver = "new"'), "driver"),
        (('cuda = "9.0"', 'cudo = "9.0"'), "cudo"),
        (('settings = "ngc"', 'settings = "ngx"'), "ngx"),
        (("schema = 1", "schema = 2"), "schema"),
        (("schema = 1", "schema 1"), "cannot read"),
        (('"7.0"]', '"seven"]'), "architectures"),
    ],
)
def test_damaged_data_is_named(tmp_path, change: tuple[str, str], complaint: str) -> None:
    text = vendor_table.TABLE.read_text(encoding="utf-8")
    damaged = tmp_path / "vendor_images.toml"
    damaged.write_text(text.replace(*change, 1), encoding="utf-8")
    assert text != damaged.read_text(encoding="utf-8")
    with pytest.raises(VendorTableError, match=complaint):
        vendor_table.load(damaged)


def test_missing_data_is_named(tmp_path) -> None:
    with pytest.raises(VendorTableError, match="cannot read"):
        vendor_table.load(tmp_path / "none.toml")


def test_the_file_is_plain_toml() -> None:
    assert tomllib.loads(vendor_table.TABLE.read_text(encoding="utf-8"))["schema"] == 1
