"""From a plan to the engine's JSON, and from the engine's messages to ours."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import BenchdockError, EngineError, ImageError, MachineError
from orchestrator.plan import Limits, Mount, Plan, Ulimit
from orchestrator.runtimes.docker.config import Isolation, container_config, granted_gpus
from orchestrator.runtimes.docker.errors import RefusedError, explain, one_line, refused_ulimit
from tests.fakes import plan

WRAPPED = (
    "failed to create shim task: OCI runtime create failed: runc create failed: "
    "unable to start container process: "
)


def config_of(made: Plan) -> dict[str, Any]:
    return container_config(made, labels={"a": "b"}, ulimits=made.limits.ulimits)


def test_safety_defaults():
    config = config_of(plan())
    assert config["Cmd"] == ["bash", "/benchdock/run/launcher.sh"]
    assert "Entrypoint" not in config
    assert "User" not in config
    assert config["Hostname"] == "localhost"
    assert "Hostname" not in config_of(plan(network="bridge"))
    assert config["HostConfig"] == {
        "Init": True,
        "NetworkMode": "none",
        "CapDrop": ["ALL"],
        "CapAdd": [],
        "SecurityOpt": ["no-new-privileges"],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "1"}},
        "Mounts": [],
        "Ulimits": [],
    }


def test_an_engine_that_hides_the_hosts_files_is_told_to_show_them():
    mine = f"{os.getuid()}:{os.getgid()}"
    asked = plan(user=mine)

    def made(*options):
        isolation = Isolation.told_by({"SecurityOptions": list(options)})
        return container_config(asked, labels={}, ulimits=(), isolation=isolation), isolation

    usual, _ = made("name=seccomp,profile=default", "name=cgroupns")
    assert usual == container_config(asked, labels={}, ulimits=())
    rootless, isolation = made("name=rootless", "name=userns")
    assert rootless == usual | {"User": "0:0"}
    assert isolation.notes() == ()
    mapped, isolation = made("name=userns")
    assert (mapped["User"], mapped["HostConfig"]["UsernsMode"]) == (mine, "host")
    assert "maps user ids" in isolation.notes()[0]
    labelled, _ = made("name=selinux")
    assert labelled["HostConfig"]["SecurityOpt"] == ["no-new-privileges", "label=disable"]
    # Somebody else's id is not the caller's: it stays as requested.
    told = Isolation(rootless=True)
    other = container_config(plan(user="7:7"), labels={}, ulimits=(), isolation=told)
    assert other["User"] == "7:7"


def test_everything_asked_for():
    host = config_of(
        plan(
            gpus=("GPU-1", "GPU-2"),
            capabilities=("SYS_NICE",),
            network="host",
            mounts=(Mount(source=Path("/data"), target="/benchdock/data"),),
            limits=Limits(
                memory=2**30,
                pids=99,
                shm_size=2**26,
                ulimits=(Ulimit(name="memlock", soft=-1, hard=-1),),
            ),
        )
    )["HostConfig"]
    assert host["DeviceRequests"] == [
        {"Driver": "", "DeviceIDs": ["GPU-1", "GPU-2"], "Capabilities": [["gpu"]]}
    ]
    assert host["CapAdd"] == ["SYS_NICE"]
    assert host["NetworkMode"] == "host"
    assert host["Mounts"] == [
        {"Type": "bind", "Source": "/data", "Target": "/benchdock/data", "ReadOnly": True}
    ]
    assert host["Memory"] == host["MemorySwap"] == 2**30
    assert host["PidsLimit"] == 99
    assert host["ShmSize"] == 2**26
    assert host["Ulimits"] == [{"Name": "memlock", "Soft": -1, "Hard": -1}]


def test_the_resolved_image_is_the_one_that_runs():
    assert config_of(plan(image_id="sha256:123"))["Image"] == "sha256:123"


def test_values_of_the_environment_are_kept_whole():
    assert "A=x=y z" in config_of(plan(environment={"A": "x=y z"}))["Env"]


def test_a_plan_without_an_image_is_a_bug():
    with pytest.raises(ValueError, match="image"):
        config_of(plan(image=None))


@pytest.mark.parametrize("requests", [None, [], [{"DeviceIDs": None}]])
def test_dropped_device_requests_grant_nothing(requests):
    assert granted_gpus({"HostConfig": {"DeviceRequests": requests}}) == frozenset()


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        (f"{WRAPPED}error setting rlimit type 8: operation not permitted: unknown", "memlock"),
        (f"{WRAPPED}error setting rlimit type 7: operation not permitted: unknown", "nofile"),
        ("crun: setrlimit `RLIMIT_MEMLOCK`: Operation not permitted", "memlock"),
        ("error setting rlimit type 99: operation not permitted", None),
        ("no space left on device", None),
    ],
)
def test_refused_ulimit(text, limit):
    assert refused_ulimit(text) == limit


# The engine's words as measured with 20.10.24, and podman 4.3.1 for the init program.
REFUSALS = [
    (
        'could not select device driver "" with capabilities: [[gpu]]',
        MachineError,
        "NVIDIA container toolkit",
    ),
    (
        f"{WRAPPED}error running hook #0: nvidia-container-cli: device error: 9: unknown device",
        MachineError,
        "refuses: device error: 9: unknown device",
    ),
    (
        f"{WRAPPED}unable to retrieve OCI runtime error (open /run/c/log.json: no such file or "
        'directory): exec: "nvidia-container-runtime": executable file not found in $PATH',
        MachineError,
        "runtime nvidia-container-runtime is missing on this machine; install it",
    ),
    (
        "unable to retrieve OCI runtime error (open /run/c/log.json: no such file or directory): "
        "fork/exec /usr/local/bin/crun: no such file or directory",
        MachineError,
        "runtime /usr/local/bin/crun is missing",
    ),
    (
        f"{WRAPPED}error running prestart hook #0: fork/exec /usr/bin/nvidia-container-runtime-hook"
        ": no such file or directory",
        MachineError,
        "nvidia-container-runtime-hook is missing on this machine",
    ),
    (
        "unknown or invalid runtime name: nvidia",
        MachineError,
        "no runtime nvidia; run `docker info`",
    ),
    ("Unknown runtime specified nvidia", MachineError, "has no runtime nvidia"),
    (
        "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=0, nvidia.com/gpu=1",
        MachineError,
        "does not know the device nvidia.com/gpu=0: the NVIDIA container toolkit has not written",
    ),
    (
        f"{WRAPPED}could not apply required modification to OCI specification: error modifying OCI "
        "spec: failed to inject CDI devices: unresolvable CDI devices nvidia.com/gpu=all",
        MachineError,
        "run `sudo nvidia-ctk cdi generate",
    ),
    ('could not select device driver "cdi" with capabilities: []', MachineError, '"cdi": true'),
    ("failed to discover GPU vendor from CDI: no known vendor", MachineError, "install nvidia-con"),
    (
        f"{WRAPPED}error running prestart hook #0: exit status 1, stderr: nvidia-container-cli: "
        "mount error: failed to add device rules: unable to find any existing device filters "
        "attached to the cgroup: bpf_prog_query(BPF_CGROUP_DEVICE) failed: operation not permitted",
        MachineError,
        "nvidia-container-cli.no-cgroups --in-place",
    ),
    (
        f"{WRAPPED}unable to apply cgroup configuration: rootless needs no limits + no cgroupPath "
        "when no permission is granted for cgroups",
        MachineError,
        "remove --memory and --pids",
    ),
    ("No such image: absent:latest", ImageError, "no image absent:latest"),
    (
        'invalid mount config for type "bind": bind source path does not exist: /no/such',
        MachineError,
        "does not see /no/such",
    ),
    (
        "unable to find user alice: no matching entries in passwd file",
        ImageError,
        "has no user alice",
    ),
    (
        "container-init binary not found on the host: stat /usr/libexec/podman/catatonit",
        MachineError,
        "init program",
    ),
    ("write /var/lib/x: no space left on device", MachineError, "disk is full"),
    ("Minimum memory limit allowed is 6MB", MachineError, "--memory"),
    (f'{WRAPPED}exec: "bash": executable file not found in $PATH', ImageError, "has no bash"),
    (
        "crun: executable file `bash` not found in $PATH: No such file or directory",
        ImageError,
        "image tiny:1 has no bash",
    ),
    ("network nosuch not found", MachineError, "no network nosuch"),
    ("something never seen", EngineError, "something never seen"),
]


@pytest.mark.parametrize(("text", "kind", "words"), REFUSALS)
def test_refusals_become_one_clear_line(text, kind, words):
    error = explain(RefusedError(500, text), image="tiny:1")
    assert type(error) is kind
    assert words in str(error)
    assert "OCI runtime" not in str(error)


@given(st.text())
def test_any_refusal_becomes_one_bounded_line(text):
    error = explain(RefusedError(500, text), image="tiny:1")
    assert isinstance(error, BenchdockError)
    assert "\n" not in str(error)
    assert len(one_line(text)) <= 300
