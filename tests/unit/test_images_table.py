"""The table of images: its contents, and how mistakes in it are reported."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import paths
from orchestrator.commands import images
from orchestrator.errors import ImageError, RequestError
from orchestrator.images import image_table, wheelhouse
from tests.support.image_helpers import TABLE

LOCK = 'lock = "requirements.lock"'
REAL = (paths.DOCKERFILES / "images.toml").read_text(encoding="utf-8")
BUILT = [row for row in image_table.load().images.values() if row.source == "build"]


def mistake(text: str) -> str:
    with pytest.raises(ImageError) as caught:
        image_table.read(text, name="images.toml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("row", BUILT, ids=lambda row: row.id)
def test_a_built_image_has_its_files(row):
    dockerfile = (row.folder / "Dockerfile").read_text(encoding="utf-8")
    default = "" if row.parent else f"={row.base}"  # the parent's layers have a digest for a tag
    assert f"ARG BASE{default}\n" in dockerfile
    assert ("/debs/*.deb" if row.packages else "--no-index") in dockerfile
    assert "apt-get upgrade" not in dockerfile


@pytest.mark.parametrize("row", [r for r in BUILT if r.packages], ids=lambda row: row.id)
def test_debian_packages_are_pinned_exactly(row):
    lines = row.lock_file.read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    assert all(re.fullmatch(r"[0-9][\w.+:~-]*", version) for version in pins.values())
    assert any(version.startswith(row.version) for version in pins.values())
    assert "python3-numpy" in pins


@pytest.mark.parametrize("row", [r for r in BUILT if r.lock], ids=lambda row: row.id)
def test_a_lock_pins_every_package_exactly(row):
    lines = row.lock_file.read_text(encoding="utf-8").splitlines()
    packages = [line for line in lines if re.match(r"[A-Za-z0-9]", line)]
    own = wheelhouse.pins("\n".join(lines))
    assert len(own) == len(packages)
    assert {*row.compiled, *row.sources} <= own.keys()
    files = image_table.load().lock_files(row)
    pins = [wheelhouse.pins(file.read_text(encoding="utf-8")) for file in files]
    assert sum(map(len, pins)) == len({name for each in pins for name in each})
    assert row.version in {v.split("+")[0] for each in pins for v in each.values()}
    assert "numpy" in pins[0]


def test_the_lock_of_the_gpu_image_refuses_the_cpu_build_of_torch():
    text = image_table.load().image("pytorch-gpu").lock_file.read_text(encoding="utf-8")
    chunks = re.split(r"\n(?=\S)", text)
    torch = next(chunk for chunk in chunks if chunk.startswith("torch=="))
    # pip prefers 2.13.0+cpu for ==2.13.0 wherever an index has it; its digest stops that.
    assert "--hash=sha256:" in torch
    assert any(chunk.startswith("triton==") for chunk in chunks)


def test_a_gpu_image_says_what_it_needs():
    for row in image_table.load().images.values():
        if row.device == "gpu":
            assert bool(row.cuda and row.driver and row.compute_capabilities) is (
                row.source == "build"  # a vendor's are in vendor_images.toml
            )
            assert row.shm_size == 2**30


def test_stand_ins_follow_the_newest_first():
    table = image_table.load()
    for named in table.images.values():
        first, *others = table.candidates(named)
        assert first is named
        for kind in ("build", "vendor"):  # their versions are of different kinds
            rows = [row for row in others if row.source == kind and row.version < named.version]
            versions = [[int(part) for part in row.version.split(".")] for row in rows]
            assert versions == sorted(versions, reverse=True), named.id


def test_what_has_been_run_is_said():
    for row in image_table.load().images.values():
        assert not (row.never_run and row.device == "cpu"), row.id


def test_what_compiles_for_minutes_is_built_only_when_it_is_named():
    table = image_table.load()
    ids = {row.id for row in images._built(table, ())}
    assert "extras-cpu" in ids
    assert "horovod-cpu" not in ids
    assert [row.id for row in images._built(table, ("horovod-cpu",))] == ["horovod-cpu"]


def test_the_host_takes_packages_that_fit_it():
    table = image_table.load()
    assert table.for_host(table.image("tensorflow1-cpu")).id == "tensorflow-cpu"
    assert table.for_host(table.image("pytorch-cpu")).id == "pytorch-cpu"
    assert table.for_host(table.image("legacy-cpu")).id == "legacy-cpu"


def test_lookups():
    table = image_table.load()
    assert table.image_of_tag("pytorch-cpu") is table.image_of_tag("benchdock/pytorch-cpu:2.13.0")
    assert table.image_of_tag("nvcr.io/nvidia/pytorch:24.06-py3") is table.image(
        "ngc-pytorch-24-06"
    )
    assert table.image_of_tag("something/else") is None
    # Names of other builds, older and newer.
    for name in ("pytorch-cpu:2.12.0", "pytorch-cpu:2.13.0-0123456789ab", "pytorch-cpu"):
        assert table.image_of_tag(f"benchdock/{name}") is table.image("pytorch-cpu")
    for name in ("pytorch-cpu-framework:0123456789ab", "pytorch-cpu:2.13.0@sha256:0", "no-such:1"):
        assert table.image_of_tag(f"benchdock/{name}") is None
    assert table.image_of_tag("mine/pytorch-cpu:2.13.0") is None
    with pytest.raises(RequestError, match="did you mean 'pytorch-gpu'"):
        table.image("pytorch-gpus")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('framework = "tiny"', 'framwork = "tiny"', "image.tiny-cpu.framwork: unknown key"),
        ('framework = "tiny"', 'framwork = "tiny"', "did you mean 'framework'"),
        ('glibc = "2.36"', 'glibc = "2.36"\nsuit = "x"', "did you mean 'suite'"),
        ('device = "cpu"', 'device = "tpu"', "image.tiny-cpu.device"),
        ('lock = "requirements.lock"', "", "source = \"build\" needs 'lock'"),
        ('reference = "registry.example/tiny:24.06"', "", "needs 'reference'"),
        ('source = "vendor"', 'source = "vendor"\nlock = "x"', "'lock' does not apply to"),
        ('source = "build"', 'source = "build"\npackages = "x"', "'lock' does not apply to"),
        ('source = "vendor"', 'source = "vendor"\ncuda = "12.5"', "'cuda' does not apply to"),
        (
            'version = "1.0"',
            'version = "1.0"\ninstead_of = ["x"]',
            "stands in for the unknown image 'x'",
        ),
        ('base = "debian:bookworm-slim"', 'base = "debian:sid"', "the unknown base 'debian:sid'"),
        (
            'python = "3.11"\nmachines',
            'python = "3.12"\nmachines',
            "says Python 3.12, but its base",
        ),
        ('version = "1.0"', 'version = "1.0"\nshm_size = "much"', "'much' is not a size"),
        (LOCK, f'{LOCK}\nparent = "tiny"', "the parent 'tiny', which must have"),
        (LOCK, f'{LOCK}\nparent = "tiny-cpu"', "the parent 'tiny-cpu', which must have"),
        ('source = "vendor"', 'source = "vendor"\nparent = "x"', "'parent' does not apply to"),
        ("schema = 1", "schema = 2", "schema"),
        ("schema = 1", "schema = ", "is not valid TOML"),
        ("[image.tiny-cpu]", "[image.Tiny_CPU]", "image.Tiny_CPU.id"),
    ],
)
def test_a_mistake_is_named(old, new, told):
    assert old in TABLE
    assert told in mistake(TABLE.replace(old, new, 1))


@pytest.mark.slow
@given(st.data())
def test_a_damaged_table_is_a_table_or_one_line(data):
    start = data.draw(st.integers(0, len(REAL)))
    end = data.draw(st.integers(start, min(len(REAL), start + 200)))
    text = REAL[:start] + data.draw(st.text(max_size=20)) + REAL[end:]
    told = ""
    try:
        image_table.read(text, name="images.toml")
    except ImageError as error:
        told = str(error)
    assert len(told.splitlines()) <= 1


@given(st.integers(1, 1000), st.sampled_from([("", 1), ("k", 2**10), ("m", 2**20), ("G", 2**30)]))
def test_sizes(number, unit):
    text = TABLE.replace('version = "1.0"', f'version = "1.0"\nshm_size = "{number}{unit[0]}"')
    assert image_table.read(text, name="x").images["tiny-cpu"].shm_size == number * unit[1]
