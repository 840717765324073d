"""`benchdock images --all`: everything known, and what can run here."""

import json

import pytest

from orchestrator.cli import main
from orchestrator.errors import ExitStatus
from orchestrator.machine.gpu_facts import Gpu, GpuReport
from orchestrator.vendor_images import vendor_table
from orchestrator.vendor_images.overview import overview

NONE = GpuReport(state="no_library", reason="no NVIDIA driver is installed")


def machine(name, capability, driver="570.86.15"):
    gpu = Gpu(index=0, uuid="GPU-0", name=name, compute_capability=capability)
    return GpuReport(state="ok", reason="", gpus=(gpu,), driver=driver)


H200 = machine("NVIDIA H200", "9.0")


def test_every_family_month_and_release_is_there():
    table = vendor_table.shipped()
    found = overview(table, NONE)
    assert [row["family"] for row in found["families"]] == list(table.families)
    assert [row["first"] for row in found["months"]] == [era.first for era in table.eras]
    by_image = {row["image"]: row for row in found["releases"]}
    assert by_image["nvcr.io/nvidia/caffe2:18.08"]["framework_version"] == "0.8.1"
    assert by_image["nvcr.io/nvidia/mxnet:24.05 to 24.06"]["driver"] == "545"
    assert len(by_image) == sum(len(family.releases) for family in table.families.values())
    assert all(row["here"] is None for row in found["releases"])


def test_what_differs_from_month_to_month_is_not_said_of_a_range():
    rows = overview(vendor_table.shipped(), NONE)["releases"]
    (caffe,) = [row for row in rows if row["image"] == "nvcr.io/nvidia/caffe:18.09 to 20.02"]
    assert caffe["cuda"] == ""
    assert caffe["compute_capabilities"][-1] == "7.5"


@pytest.mark.parametrize(
    ("report", "image", "here"),
    [
        (H200, "caffe2:18.08", "no"),
        (H200, "tensorflow:23.01", "yes"),
        (machine("NVIDIA GeForce RTX 4090", "8.9"), "tensorflow:22.06", "perhaps"),
        (machine("Tesla V100-SXM2-16GB", "7.0"), "caffe2:18.08", "yes"),
    ],
)
def test_what_can_run_here_is_marked(report, image, here):
    rows = overview(vendor_table.shipped(), report)["releases"]
    (row,) = [row for row in rows if row["image"] == f"nvcr.io/nvidia/{image}"]
    assert row["here"] == here
    assert bool(row["why"]) is (here != "yes")


def test_months_are_marked_too():
    rows = overview(vendor_table.shipped(), H200)["months"]
    marked = {row["first"]: row["here"] for row in rows}
    assert (marked["17.11"], marked["22.09"], marked["25.01"]) == ("no", "yes", "yes")


@pytest.mark.parametrize("report", [NONE, H200])
def test_the_tables(monkeypatch, capsys, report):
    monkeypatch.setattr("orchestrator.machine.gpu.report", lambda: report)
    assert main(["images", "--all"]) == ExitStatus.OK
    out = capsys.readouterr().out
    for word in ("caffe2:18.08", "0.8.1", "nvcnn.py", "retired", "25.08 on"):
        assert word in out
    assert ("  here" in out.split("\n")[1]) is bool(report.gpus)


def test_the_json(monkeypatch, capsys):
    monkeypatch.setattr("orchestrator.machine.gpu.report", lambda: H200)
    assert main(["images", "--all", "--json"]) == ExitStatus.OK
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == 1
    assert told["machine"]["gpus"][0]["compute_capability"] == "9.0"
    assert {"months", "families", "releases"} <= set(told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["build"], "--all only works with `images list`; remove --all"),
        (["list", "pytorch-cpu"], "--all lists all images and takes no names"),
    ],
)
def test_all_only_works_with_list(capsys, words, told):
    assert main(["images", *words, "--all"]) == ExitStatus.BAD_REQUEST
    assert told in capsys.readouterr().err
