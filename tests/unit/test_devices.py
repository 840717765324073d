"""Which GPUs a run gets: by count, index, UUID, and part of a partitioned GPU (MIG)."""

from dataclasses import replace

import pytest

from orchestrator.errors import MachineError, RequestError
from orchestrator.machine.gpu_facts import Gpu, GpuReport, MigSlice
from orchestrator.request import Request, gpu_choice
from orchestrator.run.devices import choose, chosen, silent_gpus
from orchestrator.runtimes.docker import cdi
from orchestrator.runtimes.docker.config import container_config, granted_gpus
from tests.fakes import plan

UUIDS = [f"GPU-{n}1111111-2222-3333-4444-555555555555" for n in range(3)]
PART = "MIG-11111111-2222-3333-4444-555555555555"
OTHER = "MIG-22222222-2222-3333-4444-555555555555"


def machine(*kinds):
    """Return a machine with whole GPUs ("whole"), and such with MIG on ("parts", "empty")."""
    slices = {"parts": (MigSlice(index=0, uuid=PART), MigSlice(index=2, uuid=OTHER))}
    gpus = tuple(
        Gpu(
            index=index,
            uuid=UUIDS[index],
            name=kind,
            compute_capability="8.0",
            mig=kind != "whole",
            slices=slices.get(kind, ()),
        )
        for index, kind in enumerate(kinds)
    )
    return GpuReport(state="ok", reason="", gpus=gpus)


def picked(report, **changes):
    return choose(Request(model="m", framework="pytorch", **changes), report).gpus


@pytest.mark.parametrize(
    ("kinds", "changes", "gpus"),
    [
        (["whole", "whole"], {}, UUIDS[:1]),
        (["whole", "whole"], {"devices": 2}, UUIDS[:2]),
        (["whole", "whole"], {"gpus": "all"}, UUIDS[:2]),
        (["whole", "whole"], {"gpus": (1, UUIDS[0])}, [UUIDS[1], UUIDS[0]]),
        (["parts", "whole"], {"gpus": "all"}, UUIDS[1:2]),
        (["parts", "whole"], {}, UUIDS[1:2]),
        (["parts"], {}, [PART]),
        (["parts"], {"gpus": "all"}, [PART]),
        (["whole", "parts"], {"gpus": ("1:2",)}, [OTHER]),
        (["whole", "parts"], {"gpus": (PART,)}, [PART]),
    ],
)
def test_the_gpus_of_a_run(kinds, changes, gpus):
    assert picked(machine(*kinds), **changes) == tuple(gpus)


@pytest.mark.parametrize(
    ("kinds", "changes", "error", "told"),
    [
        (["parts"], {"gpus": (0,)}, RequestError, "GPU 0 is partitioned (MIG), so CUDA cannot"),
        (["parts"], {"gpus": (0,)}, RequestError, "name a part of it: 0:0, 0:2"),
        (["empty"], {"gpus": (0,)}, RequestError, "it has no parts"),
        (["empty"], {"gpus": "all"}, MachineError, "all are partitioned (MIG) and have no parts"),
        (["parts"], {"gpus": ("0:0", "0:2")}, RequestError, "only one part"),
        (["parts", "whole"], {"gpus": ("0:0", 1)}, RequestError, "only one part"),
        (["parts"], {"gpus": ("0:0", PART)}, RequestError, "names one GPU twice"),
        (["parts", "whole"], {"gpus": ("0:1",)}, RequestError, "no GPU 0:1; it has 1, 0:0, 0:2"),
        (["parts", "whole"], {"devices": 2}, RequestError, "this machine has 1 GPU"),
    ],
)
def test_gpus_that_no_run_can_have(kinds, changes, error, told):
    with pytest.raises(error) as raised:
        picked(machine(*kinds), **changes)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("on_bus", "told"),
    [
        (False, "and the PCI bus has no NVIDIA GPU"),
        (True, "although the PCI bus has an NVIDIA GPU"),
    ],
)
def test_what_is_missing_is_said(on_bus, told):
    report = GpuReport(state="no_library", reason="no NVIDIA driver is installed", on_bus=on_bus)
    with pytest.raises(MachineError) as raised:
        picked(report, gpus=(0,))
    assert "no NVIDIA driver is installed, " in str(raised.value)
    assert told in str(raised.value)


def test_a_part_is_of_its_gpu():
    report = machine("whole", "parts")
    target = choose(Request(model="m", framework="pytorch", gpus=("1:2",)), report)
    assert chosen(target, report) == [("parts", "8.0")]


@pytest.mark.parametrize("text", ["0:1", "0,1:3", PART])
def test_parts_can_be_typed(text):
    assert gpu_choice(text)
    Request(model="m", framework="pytorch", gpus=gpu_choice(text))


@pytest.mark.parametrize("text", ["0:", ":1", "0:1:2", "a:b", "99999:1"])
def test_other_words_are_no_part(text):
    with pytest.raises(ValueError, match="GPU indices"):
        gpu_choice(text)


def test_gpus_that_do_not_answer_are_said():
    report = replace(machine("whole"), silent=("GPU 1 does not answer: GPU is lost",))
    request = Request(model="m", framework="pytorch")
    told = ("GPU 1 does not answer: GPU is lost; it is left out (see `benchdock doctor`)",)
    assert silent_gpus(request, report) == told
    assert silent_gpus(request.model_copy(update={"gpus": (0,)}), report) == ()
    assert (
        silent_gpus(
            request.model_copy(update={"gpus": "none"}), GpuReport(state="no_gpu", reason="")
        )
        == ()
    )
    with pytest.raises(
        RequestError, match=r"no GPU 1 \(GPU 1 does not answer: GPU is lost\); it has 0"
    ):
        picked(report, gpus=(1,))


DISCOVERED = {
    "DiscoveredDevices": [{"Source": "cdi", "ID": f"nvidia.com/gpu={uuid}"} for uuid in UUIDS]
}


@pytest.mark.parametrize(
    ("engine", "version", "info", "known"),
    [
        ("docker", "28.2.0", DISCOVERED, True),
        ("docker", "29.7.1", {"DiscoveredDevices": DISCOVERED["DiscoveredDevices"][:1]}, False),
        ("docker", "28.1.0", {}, False),
        ("docker", "20.10.24+dfsg1", {"DiscoveredDevices": None}, False),
        ("podman", "5.4.0", {}, True),
        ("podman", "5.3.9", {}, False),
        ("podman", "4.3.1", {}, False),
    ],
)
def test_an_engine_that_knows_the_gpus_by_cdi_gets_its_names(engine, version, info, known):
    found = cdi.names(engine, version, info, UUIDS[:2])
    assert found == (tuple(f"nvidia.com/gpu={uuid}" for uuid in UUIDS[:2]) if known else ())


def config(*gpus, names=(), **changes):
    planned = plan(gpus=gpus, device="gpu" if gpus else "cpu", **changes)
    return container_config(planned, labels={}, ulimits=(), cdi_names=names)


def test_gpus_are_requested_by_cdi_or_by_the_older_request():
    host = config(UUIDS[0], names=(f"nvidia.com/gpu={UUIDS[0]}",))["HostConfig"]
    assert host["DeviceRequests"] == [
        {"Driver": "cdi", "DeviceIDs": [f"nvidia.com/gpu={UUIDS[0]}"]}
    ]
    assert granted_gpus({"HostConfig": host}) == {UUIDS[0]}
    older = config(UUIDS[0])["HostConfig"]
    assert older["DeviceRequests"][0]["DeviceIDs"] == [UUIDS[0]]
    assert granted_gpus({"HostConfig": older}) == {UUIDS[0]}


def test_a_run_on_the_cpu_hides_all_gpus():
    """Images of NVIDIA ask for all of them, and an engine may grant that without a request."""
    assert "NVIDIA_VISIBLE_DEVICES=void" in config()["Env"]
    assert "DeviceRequests" not in config()["HostConfig"]
    assert not any(one.startswith("NVIDIA_VISIBLE") for one in config(UUIDS[0])["Env"])
