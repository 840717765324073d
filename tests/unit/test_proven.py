"""The releases that backends were proven with, and what follows for the choice of an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.frameworks import catalogue
from orchestrator.images import image_table
from orchestrator.images.reference import parse_reference
from orchestrator.machine.gpu_facts import GpuReport
from orchestrator.vendor_images import choice, listed, overview, proven, vendor_table
from orchestrator.vendor_images.gpu_support import fitting_image
from orchestrator.vendor_images.proven import ProvenRelease
from orchestrator.vendor_images.vendor_table import VendorTableError

TABLE = image_table.load()
V100 = [("Tesla V100-SXM2-16GB", "7.0")]
NO_GPU = GpuReport(state="no_library", reason="no NVIDIA driver is installed")


def record(framework: str, release: str, *faults: str) -> ProvenRelease:
    return ProvenRelease(framework=framework, release=release, python="3.8", faults=faults)


RECORDS = (
    record("tensorflow", "2.11.1"),
    record("tensorflow", "2.16.2", "P3 resnet18 does not hold: loss 3e-02 (step 1)"),
    record("tensorflow", "2.17.1"),
    record("tensorflow", "1.15.5"),
    record("pytorch", "1.13.1"),
)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proven, "shipped", lambda: RECORDS)


@pytest.mark.parametrize(
    ("framework", "version", "release"),
    [
        ("pytorch", "1.13.0a0+936e930", "1.13.1"),
        ("tensorflow", "1.15.0-rc1", "1.15.5"),
        ("tensorflow", "2.17", "2.17.1"),
        ("tensorflow", "2.16.1", None),  # run, and it did not hold
        ("tensorflow", "2.1.0", None),
        ("tensorflow", "2.x", None),
        ("pytorch", "2.11.0", None),
        ("pytorch", "", None),
    ],
)
def test_a_release_is_proven_by_one_of_the_same_minor_number(
    framework: str, version: str, release: str | None
) -> None:
    assert proven.proven_with(framework, version, records=RECORDS) == release


def test_only_frameworks_that_were_run_are_covered() -> None:
    assert proven.covers("pytorch", records=RECORDS)
    assert not proven.covers("caffe2", records=RECORDS)


def test_records_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "proven.json"
    path.write_text(proven.text(RECORDS))
    assert proven.read(path) == RECORDS
    assert path.read_text().count("\n") == len(RECORDS) + 2
    path.write_text("[{}]")
    with pytest.raises(VendorTableError, match=r"cannot read proven\.json"):
        proven.read(path)


def choose(image: str, driver: str, backend: str | None) -> choice.Choice:
    return choice.choose(TABLE.image(image), V100, driver, table=TABLE, backend=backend)


@pytest.mark.usefixtures("seen")
def test_an_unproven_image_is_passed_over_with_a_sentence() -> None:
    found = choose("ngc-tensorflow-25-02", "580.65", "tensorflow")
    assert found.image is not None
    assert (found.image.id, found.proven_with) == ("ngc-tensorflow-23-01", "2.11.1")
    assert [one.unproven for one in found.passed_over] == [False, True]
    newest, unproven, taken = found.notes()
    assert newest.startswith(
        "the image is ngc-tensorflow-23-01, the newest that works here and is proven: "
    )
    assert unproven == (
        "nvcr.io/nvidia/tensorflow:24.06-tf2-py3 contains TensorFlow 2.16.1, and our backend was "
        "not run with that release"
    )
    assert taken == (
        "ngc-tensorflow-23-01 contains TensorFlow 2.11.0; our backend was proven with 2.11.1 on a "
        "CPU"
    )


@pytest.mark.usefixtures("seen")
def test_a_program_of_others_needs_no_proof() -> None:
    found = choose("ngc-tensorflow-25-02", "580.65", None)
    assert found.image is not None
    assert found.image.id == "ngc-tensorflow-24-06"
    assert found.proven_with == ""


@pytest.mark.usefixtures("seen")
def test_a_framework_that_the_matrix_does_not_have_needs_no_proof() -> None:
    found = choose("ngc-caffe2-18-08", "450.80.02", "caffe2")
    assert found.image is not None
    assert found.notes() == ()


@pytest.mark.usefixtures("seen")
def test_if_nothing_else_is_left_the_refusal_names_the_unproven_image() -> None:
    mxnet = (*RECORDS, record("mxnet", "1.2.0"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proven, "shipped", lambda: mxnet)
        found = choose("ngc-mxnet-24-06", "450.80.02", "mxnet")
    assert found.image is None
    assert (
        "nvcr.io/nvidia/mxnet:22.11-py3 contains MXNet 1.9.1, and our backend was not run with"
        in (found.refusal)
    )
    assert found.refusal.endswith("Add --image ngc-mxnet-22-11 to use it anyway")


def test_the_release_in_an_image_depends_on_its_suffix() -> None:
    table = vendor_table.shipped()
    found = {}
    for tag in ("23.01-tf1-py3", "23.01-tf2-py3", "22.10-tf2-py3", "24.06-tf2-py3"):
        row = table.describe(parse_reference(f"nvcr.io/nvidia/tensorflow:{tag}"))
        assert row is not None
        found[tag] = row.facts.version
    assert list(found.values()) == ["1.15.5", "2.11.0", "2.x", "2.16.1"]


@pytest.mark.usefixtures("seen")
def test_another_image_is_suggested_only_if_its_release_is_proven() -> None:
    table = vendor_table.shipped()
    found = fitting_image(table, table.families["pytorch"], "7.0", driver="580.65")
    assert found == "nvcr.io/nvidia/pytorch:22.11-py3"


@pytest.mark.usefixtures("seen")
def test_the_overview_says_what_was_proven() -> None:
    rows = overview.overview(vendor_table.shipped(), NO_GPU)["releases"]
    by_image = {row["image"].removeprefix("nvcr.io/nvidia/"): row["proven_with"] for row in rows}
    assert by_image["tensorflow:23.01"] == ["1.15.5", "2.11.1"]
    assert by_image["tensorflow:24.06"] == []
    assert by_image["pytorch:22.09 to 22.10"] == ["1.13.1"]
    assert by_image["caffe2:18.08"] is None


@pytest.mark.parametrize("framework", ["pytorch", "tensorflow", "mxnet"])
def test_every_image_that_a_run_may_choose_by_itself_was_proven(framework: str) -> None:
    named = TABLE.image(catalogue.framework(framework).images["gpu"])
    for image in TABLE.candidates(named):
        version = listed.facts_of(image).version
        assert proven.proven_with(framework, version), f"{image.id}: {version}"
