"""`make setup` finds a Python, or prints the command that installs one (.ci/find-python)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.paths import PROJECT

SCRIPT = PROJECT / ".ci" / "find-python"
# A Python of this test run, by an absolute path: nothing else is on PATH.
GOOD = f'#!/bin/sh\nexec {sys.executable} "$@"\n'
OLD = "#!/bin/sh\nexit 1\n"
# Knows what Debian's python3 without python3-venv knows: its version.
NO_VENV = '#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\nexit 0\n'


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    put(folder, "id", "#!/bin/sh\necho 1000\n")
    return folder


def put(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def find(stubs: Path, wanted: str = "", release: str = "") -> subprocess.CompletedProcess[str]:
    (stubs.parent / "os-release").write_text(release)
    return subprocess.run(
        ["/bin/sh", SCRIPT, wanted],
        env={"PATH": str(stubs), "OS_RELEASE": str(stubs.parent / "os-release")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["python3.11", "python3.12", "python3.13", "python3.14", "python3", "python"]
)
def test_any_usual_name(stubs: Path, name: str) -> None:
    for other in ("python3.13", "python3.11", "python3", "python"):
        put(stubs, other, NO_VENV if other == "python3.13" else OLD)
    put(stubs, name, GOOD)
    done = find(stubs)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{stubs}/{name}\n", "")


def test_the_one_that_is_requested(stubs: Path) -> None:
    put(stubs, "python3", GOOD)
    put(stubs, "mine", GOOD)
    put(stubs, "older", OLD)
    assert find(stubs, "mine").stdout == f"{stubs}/mine\n"
    for wanted in ("older", "absent"):
        done = find(stubs, wanted)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.startswith(f"PYTHON={wanted} is not a Python 3.11 or newer")


def test_one_that_uv_knows(stubs: Path, tmp_path: Path) -> None:
    put(tmp_path, "uvs-python", GOOD)
    put(stubs, "python3", OLD)
    put(stubs, "uv", f'#!/bin/sh\n[ "$1 $2" = "python find" ] && echo {tmp_path}/uvs-python\n')
    assert find(stubs).stdout == f"{tmp_path}/uvs-python\n"


def test_one_that_uv_fetches(stubs: Path, tmp_path: Path) -> None:
    fetched = tmp_path / "fetched"
    put(tmp_path, "source", GOOD)
    put(
        stubs,
        "uv",
        "#!/bin/sh\n"
        f'case "$1 $2 $*" in\n'
        f'"python install "*) echo fetching; /bin/cp {tmp_path}/source {fetched} ;;\n'
        f'"python find "*--managed-python*) echo {fetched} ;;\n'
        "*) exit 2 ;;\n"
        "esac\n",
    )
    done = find(stubs)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{fetched}\n", "fetching\n")


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ('ID=ubuntu\nVERSION_ID="22.04"\nID_LIKE=debian',
         "sudo apt-get install -y python3.11-venv"),
        ('ID=ubuntu\nVERSION_ID="24.04"\nID_LIKE=debian', "sudo apt-get install -y python3-venv"),
        ('ID=debian\nVERSION_ID="12"', "sudo apt-get install -y python3-venv"),
        ("ID=debian", "sudo apt-get install -y python3-venv"),
        ('ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="9.4"', "sudo dnf install -y python3.11"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="8.10"',
         "sudo dnf install -y python3.11"),
        ('ID="almalinux"\nID_LIKE="rhel centos fedora"\nVERSION_ID="10.0"',
         "sudo dnf install -y python3"),
        ('ID="sles"\nVERSION_ID="15.6"', "sudo zypper install -y python311"),
        ('ID=ubuntu\nVERSION_ID="20.04"', "curl -LsSf https://astral.sh/uv/install.sh | sh"),
        ('ID=debian\nVERSION_ID="11"', "curl -LsSf https://astral.sh/uv/install.sh | sh"),
        ("", "curl -LsSf https://astral.sh/uv/install.sh | sh"),
    ],
)  # fmt: skip
def test_without_any_it_says_the_command(stubs: Path, release: str, command: str) -> None:
    put(stubs, "python3", OLD)
    done = find(stubs, release=release)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[1:] == [
        f"install one with `{command}`, then run `make setup` again"
    ]


def test_root_needs_no_sudo(stubs: Path) -> None:
    put(stubs, "id", "#!/bin/sh\necho 0\n")
    assert "`apt-get install" in find(stubs, release="ID=debian\nVERSION_ID=13").stderr
