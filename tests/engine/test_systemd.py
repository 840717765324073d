"""Nights by systemd: a container whose first process is systemd, with this clone mounted in it.

Timers are waited for, not only started: a drop-in lets the first one elapse after two seconds.
"""

from __future__ import annotations

import hashlib
import secrets
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from orchestrator.paths import PROJECT
from tests.support import waiting

BASE = "debian:bookworm-slim"
# What the interpreter of this machine is linked with comes along with Debian's python3.
DOCKERFILE = f"""
FROM {BASE}
RUN apt-get update && apt-get install -y --no-install-recommends \
    systemd systemd-sysv dbus libpam-systemd python3 git
RUN systemctl mask systemd-logind.service getty.target console-getty.service
CMD ["/sbin/init"]
"""
SUITE = """\
schema: 1
name: nightly
repeat: 2
defaults:
  {framework: custom, runtime: host, gpus: none, phase: inference, batch: 1, pattern: 'fps=(.+)',
   command: 'echo fps=50'}
groups: {a: {runs: [{model: one}]}}
"""
SOON = "[Timer]\nOnActiveSec=2s\nAccuracySec=1s\n"
UNIT = "benchdock-nightly-nightly"
# Far from now: shortly before its time, a night that was missed is not made up for.
AT = datetime.now(UTC) + timedelta(hours=12)


class Machine:
    """A machine that systemd runs."""

    def __init__(self, name: str) -> None:
        self._name = name

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        argv = ("docker", "exec", "--env=BENCHDOCK_HOME=/home/nights", self._name, *words)
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def benchdock(self, *words: str) -> str:
        return self.run(sys.executable, "-m", "orchestrator", *words).stdout

    def write(self, path: str, text: str) -> None:
        self.run("mkdir", "-p", str(Path(path).parent))
        self.run("sh", "-c", 'printf %s "$1" > "$2"', "sh", text, path)

    def shown(self, unit: str, *names: str) -> dict[str, str]:
        told = self.run("systemctl", "show", unit, f"--property={','.join(names)}").stdout
        return dict(line.split("=", 1) for line in told.splitlines())


# A night takes seconds.
wait_for = partial(waiting.wait_for, patience=60.0)


@pytest.fixture(scope="module")
def image(engine) -> str:
    if engine.image(BASE) is None:
        pytest.skip(f"needs the image {BASE}; run `make base-images`")
    tag = f"benchdock-test-systemd:{hashlib.sha256(DOCKERFILE.encode()).hexdigest()[:8]}"
    if engine.image(tag) is None:
        argv = ("docker", "build", "--quiet", "--network=host", f"--tag={tag}", "-")
        done = subprocess.run(
            argv, input=DOCKERFILE, text=True, capture_output=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stderr[-2000:]
    return tag


@pytest.fixture(scope="module")
def machine(image: str) -> Iterator[Machine]:
    name = f"benchdock-test-systemd-{secrets.token_hex(4)}"
    mounts = {str(PROJECT), str(Path(sys.prefix)), str(Path(sys.base_prefix))} - {"/usr"}
    argv = [
        *("docker", "run", "--detach", "--rm", "--tty", f"--name={name}", "--network=none"),
        *("--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup", "--cap-add=SYS_ADMIN"),
        *("--security-opt=seccomp=unconfined", "--security-opt=apparmor=unconfined"),
        *("--env=container=docker", "--tmpfs=/run", "--tmpfs=/run/lock"),
        *(f"--volume={mount}:{mount}:ro" for mount in sorted(mounts)),
        image,
    ]
    subprocess.run(argv, check=True, capture_output=True)
    try:
        found = Machine(name)
        states = ("running", "degraded")
        wait_for(
            lambda: (
                found.run("systemctl", "is-system-running", check=False).stdout.strip() in states
            )
        )
        yield found
    finally:
        subprocess.run(("docker", "rm", "--force", name), check=False, capture_output=True)


@pytest.fixture(scope="module")
def installed(machine: Machine) -> Machine:
    machine.write("/home/nightly.yaml", SUITE)
    told = machine.benchdock(
        *(
            "nightly",
            "install",
            "/home/nightly.yaml",
            "--at",
            f"{AT:%H:%M}",
            "--budget",
            "10m",
            "--always",
        )
    )
    assert f"the night of nightly starts at {AT:%H:%M} by systemd, after images at" in told
    return machine


def nights(machine: Machine) -> int:
    """Return how many nights were filed."""
    return len(
        machine.run("find", "/home/nights/nights/nightly", "-name", "0*.json").stdout.split()
    )


def test_systemd_starts_the_night_and_the_images_before(installed: Machine) -> None:
    for unit, at in ((UNIT, AT), (f"{UNIT}-pull", AT - timedelta(hours=3))):
        told = installed.shown(f"{unit}.timer", "ActiveState", "UnitFileState", "TimersCalendar")
        assert (told["ActiveState"], told["UnitFileState"]) == ("active", "enabled")
        assert f"OnCalendar=*-*-* {at:%H:%M}:00 ;" in told["TimersCalendar"]
    service = installed.shown(f"{UNIT}.service", "TimeoutStartUSec", "LoadError", "Type")
    assert service == {"TimeoutStartUSec": "40min", "LoadError": "", "Type": "oneshot"}
    status = installed.benchdock("nightly", "status")
    assert f"{AT:%H:%M}" in status


def test_the_timer_starts_a_night_whose_output_is_in_the_journal(installed: Machine) -> None:
    installed.write(f"/etc/systemd/system/{UNIT}.timer.d/soon.conf", SOON)
    installed.run("systemctl", "daemon-reload")
    installed.run("systemctl", "restart", f"{UNIT}.timer")
    wait_for(lambda: nights(installed) == 1)
    wait_for(lambda: installed.shown(f"{UNIT}.service", "SubState")["SubState"] == "dead")
    told = installed.shown(f"{UNIT}.service", "Result", "ExecMainStatus")
    assert told == {"Result": "success", "ExecMainStatus": "0"}
    journal = installed.run("journalctl", f"--unit={UNIT}", "--output=cat").stdout
    assert "nightly: 1 of 1 series ran" in journal
    installed.run("rm", "-r", f"/etc/systemd/system/{UNIT}.timer.d")
    installed.run("systemctl", "daemon-reload")


def test_a_night_that_was_missed_is_made_up_for(installed: Machine) -> None:
    before = nights(installed)
    installed.run("systemctl", "stop", f"{UNIT}.timer")
    stamp = f"/var/lib/systemd/timers/stamp-{UNIT}.timer"
    installed.run("touch", "--date=2 days ago", stamp)
    installed.run("systemctl", "start", f"{UNIT}.timer")
    wait_for(lambda: nights(installed) == before + 1)


def test_a_night_with_failures_is_a_failed_unit(installed: Machine) -> None:
    installed.write("/home/nightly.yaml", SUITE.replace("echo fps=50", "false"))
    installed.run("systemctl", "start", f"{UNIT}.service", check=False)
    told = installed.shown(f"{UNIT}.service", "Result", "ExecMainStatus")
    assert told == {"Result": "exit-code", "ExecMainStatus": "1"}
    failed = installed.run("systemctl", "list-units", "--failed", "--plain", "--no-legend").stdout
    assert failed.startswith(f"{UNIT}.service ")


def test_remove_leaves_nothing(installed: Machine) -> None:
    assert "removed its timers" in installed.benchdock("nightly", "remove", "nightly")
    timers = installed.run("systemctl", "list-timers", "--all", "--plain", "--no-legend").stdout
    assert UNIT not in timers
    assert installed.run("find", "/etc/systemd/system", "-name", f"{UNIT}*").stdout == ""
