"""The wheelhouse: complete or absent, fetched again only if it is damaged, with pip's errors
explained.
"""

import json
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ImageError, MachineError
from orchestrator.images import wheelhouse
from orchestrator.runtimes.host import host_pip
from tests.support.image_helpers import LOCK, make_place, with_child

ALPHA = "alpha-1.0-py3-none-any.whl"
BETA = "beta_two-2.0+cpu-py3-none-any.whl"
PIP = "pip-25.3-py3-none-any.whl"
NO_MATCH = (
    "ERROR: Could not find a version that satisfies the requirement beta_two==2.0+cpu "
    "(from versions: 1.0)\nERROR: No matching distribution found for beta_two==2.0+cpu"
)


@pytest.fixture
def place(tmp_path, monkeypatch):
    return make_place(tmp_path, monkeypatch)


def test_a_fetch_makes_a_whole_wheelhouse_and_is_not_repeated(place):
    house = place.fetch()
    assert sorted(path.name for path in house.iterdir()) == [ALPHA, BETA, "manifest.json", PIP]
    manifest = json.loads((house / "manifest.json").read_text())
    assert {file["name"]: file["size"] for file in manifest["files"]}[ALPHA] == 14
    assert wheelhouse.defect(place.image, place.table) is None

    calls = len(place.pip.calls())
    said: list[str] = []
    place.fetch(said)
    assert len(place.pip.calls()) == calls
    assert "up to date" in said[0]


@pytest.mark.slow
@pytest.mark.parametrize("key", ["compiled", "sources"])
def test_what_has_no_wheel_comes_as_source_and_is_kept(place, key):
    table, child = with_child(place, key)

    def fetch():
        return wheelhouse.fetch(child, table, print, pip=place.pip.command)

    source = fetch() / "gamma-3.0.tar.gz"
    assert wheelhouse.defect(child, table) is None
    before = source.stat().st_ino
    (source.parent / "delta-4.0-py3-none-any.whl").unlink()
    assert fetch() == source.parent
    assert source.stat().st_ino == before
    source.write_text("other")
    assert wheelhouse.defect(child, table) == "gamma-3.0.tar.gz is missing or damaged"
    assert "--no-binary=gamma" in place.pip.calls()[0]


def test_pip_is_asked_for_the_image_not_for_this_host(place):
    place.fetch()
    packages, pip = place.pip.calls()
    for argv in (packages, pip):
        assert argv[argv.index("--python-version") + 1] == "3.11"
        assert "--no-deps" in argv
        assert "manylinux_2_36_x86_64" in argv
        assert "manylinux2014_x86_64" in argv
        assert "--no-index" not in argv
    assert pip[-1] == "pip==25.3"


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["changed", "longer", "gone"])
def test_only_a_damaged_file_is_fetched_again(place, damage):
    house = place.fetch()
    untouched = (house / ALPHA).stat().st_ino
    match damage:
        case "changed":
            (house / BETA).write_text("wheel of beta_twO")
        case "longer":
            (house / BETA).write_text("much longer than before")
        case "gone":
            (house / BETA).unlink()
    said: list[str] = []
    place.fetch(said)
    assert f"{BETA} is missing or damaged" in said[0]
    assert (house / BETA).read_text() == "wheel of beta_two"
    assert (house / ALPHA).stat().st_ino == untouched
    assert wheelhouse.defect(place.image, place.table) is None


def test_a_changed_lock_drops_unneeded_wheels(place):
    house = place.fetch()
    place.image.lock_file.write_text(LOCK.replace("alpha==1.0", "alpha==1.1"))
    said: list[str] = []
    place.fetch(said)
    assert "changed" in said[0]
    assert sorted(path.name for path in house.glob("alpha*")) == ["alpha-1.1-py3-none-any.whl"]


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "{", "[]", '{"image": 1}'])
def test_a_damaged_manifest_is_fetched_again(place, content):
    house = place.fetch()
    (house / "manifest.json").write_text(content)
    assert wheelhouse.defect(place.image, place.table) == "its manifest is damaged"
    place.fetch()
    assert wheelhouse.defect(place.image, place.table) is None


def test_what_a_killed_fetch_left_is_not_trusted(place):
    partial = place.house.with_name(".tiny-cpu.partial")
    partial.mkdir(parents=True)
    (partial / ALPHA).write_text("half of a wh")
    place.fetch()
    assert (place.house / ALPHA).read_text() == "wheel of alpha"
    assert not partial.exists()


def test_a_failed_fetch_leaves_the_old_wheels(place):
    place.fetch()
    place.image.lock_file.write_text(LOCK.replace("alpha==1.0", "alpha==1.1"))
    place.pip.fail(("download", "-", "ERROR: broken"))
    with pytest.raises(ImageError, match="broken"):
        place.fetch()
    assert (place.house / ALPHA).exists()
    assert not list(place.house.parent.glob(".*.partial"))


def test_the_extra_index_is_asked_only_if_the_hosts_own_lack_a_package(place):
    place.pip.fail(("download", "--extra-index-url", NO_MATCH))
    said: list[str] = []
    place.fetch(said)
    first, second = place.pip.calls()[:2]
    assert "--extra-index-url" not in first
    assert second[-2:] == ["--extra-index-url", "https://wheels.example/cpu"]
    assert any("trying https://wheels.example/cpu as well" in line for line in said)


def test_wheels_from_a_folder_need_no_index(place, tmp_path):
    place.fetch(source=tmp_path / "usb")
    for argv in place.pip.calls():
        assert "--no-index" in argv
        assert argv[argv.index("--find-links") + 1] == str(tmp_path / "usb")

    place.image.lock_file.write_text("gamma==3\n")
    place.pip.fail(("download", "-", NO_MATCH))
    with pytest.raises(host_pip.NoMatchError):
        place.fetch(source=tmp_path / "usb")
    assert not any("--extra-index-url" in argv for argv in place.pip.calls())


@pytest.mark.slow
def test_the_real_pip_says_which_wheel_a_folder_lacks(place, tmp_path, monkeypatch):
    pytest.importorskip("pip")
    real = (sys.executable, "-m", "pip")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(host_pip.NoMatchError, match=r"no package index has alpha==1.0") as caught:
        wheelhouse.fetch(place.image, place.table, print, source=tmp_path, pip=real)
    assert any("No matching distribution" in line for line in caught.value.details)


def test_an_image_for_other_machines_is_refused(place, monkeypatch):
    monkeypatch.setattr(wheelhouse, "machine", lambda: "riscv64")
    with pytest.raises(ImageError, match="made for x86_64 and aarch64, this machine is riscv64"):
        place.fetch()


def test_a_folder_that_cannot_be_written_is_reported_in_one_line(place, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "file"))
    with pytest.raises(MachineError, match=r"cannot write .*BENCHDOCK_HOME"):
        place.fetch()


def test_a_full_disk_is_reported_in_one_line(place, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(wheelhouse, "_swap", full)
    with pytest.raises(ImageError, match=r"cannot write the wheels of tiny-cpu: .*No space left"):
        place.fetch()


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        (NO_MATCH, "no package index has beta_two==2.0+cpu for this Python"),
        (NO_MATCH.replace("1.0)", "none)"), "check `pip config list`"),
        (
            "WARNING: Retrying (Retry(total=4)) after connection broken by "
            "'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object>: Failed "
            "to establish a new connection: [Errno -2] Name or service not known')': /simple/\n"
            + NO_MATCH,
            "no package index that answers has beta_two==2.0+cpu; check `pip config list`",
        ),
        (
            "WARNING: Retrying after connection broken by 'SSLError(SSLCertVerificationError(1, "
            "'[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed'))'\n" + NO_MATCH,
            "does not trust the certificate",
        ),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.\n    x",
            "does not have the digest in the lock file",
        ),
        ("ERROR: Could not install: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: Something new\n[notice] a notice", "exit code 2: Something new"),
        ("Killed", "exit code 2: Killed"),
        ("", "exit code 2: no message"),
    ],
)
def test_pip_failures_in_one_line(printed, told):
    error = host_pip.explain(printed.splitlines(), 2)
    assert told in str(error)
    assert "\n" not in str(error)
    assert list(error.details) == [line for line in printed.splitlines() if line.strip()]


@given(st.lists(st.text(st.characters(blacklist_categories=["Cs"]), max_size=60), max_size=6))
def test_any_output_of_pip_makes_one_line(lines):
    error = host_pip.explain([" ".join(line.split()) for line in lines], 1)
    assert len(str(error).splitlines()) == 1


def test_pip_settings_that_move_installations_do_not_apply(place, monkeypatch):
    script = place.pip.folder / "show.py"
    script.write_text("import os; print([n for n in os.environ if n.startswith('PIP_')])")
    for name in ("PIP_USER", "PIP_TARGET", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "x")
    said: list[str] = []
    host_pip.run([], said.append, pip=(sys.executable, str(script)))
    assert "PIP_INDEX_URL" in said[0]
    assert "PIP_USER" not in said[0]
    assert "PIP_TARGET" not in said[0]


def test_no_pip_at_all(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="-m ensurepip"):
        host_pip.command()


def test_platform_tags():
    tags = wheelhouse.platform_tags("x86_64", "2.31")
    assert tags[0] == "manylinux_2_31_x86_64"
    assert tags[-1] == "linux_x86_64"
    assert "manylinux_2_36_x86_64" not in tags
    assert {"manylinux_2_5_x86_64", "manylinux1_x86_64"} <= set(tags)
    assert "manylinux_2_16_aarch64" not in wheelhouse.platform_tags("aarch64", "2.36")


def test_pins():
    assert wheelhouse.pins("# c\nA.b_c==1.0+cpu ; x\nd==2 \\\n    --hash=sha256:1\n") == {
        "a-b-c": "1.0+cpu",
        "d": "2",
    }
