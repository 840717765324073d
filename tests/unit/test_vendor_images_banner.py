"""What is read from the banners of NGC images."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.vendor_images.banner import Banner, last_words, read_banner
from tests.support import sample_logs
from tests.support.vendor_samples import NGC_BANNER, NGC_GPU_TOO_NEW, NGC_GPU_TOO_OLD


def test_release_and_framework_of_a_banner() -> None:
    found = read_banner(NGC_BANNER.splitlines())
    assert (found.release, found.build) == ("19.08", "7700777")
    assert (found.framework, found.framework_version) == ("PyTorch", "1.2.0a0+abc1234")
    assert found.supported is False
    assert found.warnings() == ("the image's banner found no GPU that it supports",)


def test_a_gpu_too_old() -> None:
    found = read_banner(NGC_GPU_TOO_OLD.splitlines())
    assert (found.too_old, found.too_new, found.supported) == (("NVIDIA Tesla K40m",), None, False)


def test_a_gpu_too_new_has_the_makers_name_once() -> None:
    found = read_banner(NGC_GPU_TOO_NEW.splitlines())
    assert found.too_new == ("NVIDIA GeForce RTX 4080",)
    assert found.supported is False


def test_a_log_of_a_run_that_succeeded_all_the_same() -> None:
    log = sample_logs.path("nvtfcnn-in-dlbs").read_text(encoding="utf-8")
    found = read_banner(log.splitlines())
    assert (found.product, found.release, found.build) == ("TensorFlow", "18.06", "424242")
    assert found.too_new == ("NVIDIA GeForce RTX 2060",)
    assert "RTX 2060" in found.warnings()[0]


def test_a_log_without_a_banner_says_nothing() -> None:
    log = sample_logs.path("dlbs-nvtfcnn").read_text(encoding="utf-8")
    found = read_banner(log.splitlines())
    assert found == Banner()
    assert found.warnings() == ()


def test_driver_complaints_are_joined_over_their_lines() -> None:
    found = read_banner(
        [
            "ERROR: This container was built for NVIDIA Driver Release 450.51 or later, but",
            "       version 418.87.01 was detected and compatibility mode is UNAVAILABLE.",
            "",
            "WARNING: The NVIDIA Driver was not detected.",
            "   Use 'nvidia-docker run' to start this container",
            "NOTE: MOFED driver was detected, but nv_peer_mem driver was not detected.",
            "      Multi-node communication performance may be reduced.",
        ]
    )
    assert len(found.driver) == 2
    assert found.driver[0] == (
        "This container was built for NVIDIA Driver Release 450.51 or later, but version "
        "418.87.01 was detected and compatibility mode is UNAVAILABLE."
    )
    assert all("the image says about the driver" in line for line in found.warnings())


def test_ranks_and_colours_are_stripped_and_repeats_listed_once() -> None:
    too_old = "ERROR: Detected NVIDIA Tesla K80 GPU, which is not supported by this container"
    lines = [
        "[1,0]<stdout>:NVIDIA Release 20.03 (build 11026100)\r",
        "[1,1]<stdout>:NVIDIA Release 20.03 (build 11026100)",
        f"\x1b[31m{too_old}\x1b[0m",
        too_old,
    ]
    found = read_banner(lines)
    assert found.release == "20.03"
    assert found.too_old == ("NVIDIA Tesla K80",)


def test_a_version_without_a_release_before_it_is_not_a_banner() -> None:
    assert read_banner(["Python Version 3.6.9"]) == Banner()


NOTES = [
    "NVIDIA Release 20.03 (build 1)",
    "By pulling and using the container, you accept the licence.",
    "",
    "NOTE: MOFED driver was detected, but nv_peer_mem driver was not detected.",
    "      Multi-node communication cannot be fast.",
]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ""),
        (["one", "two", ""], "two"),
        (NOTES, ""),
        ([*NOTES, "", "bash: x: No such file or directory"], "bash: x: No such file or directory"),
        (["NVIDIA Release 20.03 (build 1)", "ERROR: a", "   b"], "ERROR: a b"),
    ],
)
def test_a_banners_notes_are_not_a_reason_for_a_failure(lines: list[str], words: str) -> None:
    assert last_words(lines) == words


@pytest.mark.slow
@given(st.lists(st.text(max_size=80), max_size=20))
def test_any_text_can_be_read(lines: list[str]) -> None:
    found = read_banner(lines)
    assert found.supported in (None, False)
