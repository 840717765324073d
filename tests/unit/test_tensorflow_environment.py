"""What is set before TensorFlow is loaded."""

from __future__ import annotations

import pytest

from backends.tensorflow import environment


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Return a function that puts a TensorFlow of a release on the path: only its header."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(header):
        path = tmp_path / "tensorflow" / "include" / "tensorflow" / "core" / "public" / "version.h"
        path.parent.mkdir(parents=True)
        path.write_text(header)
        (tmp_path / "tensorflow" / "__init__.py").write_text("raise ImportError('loaded')\n")

    return install


@pytest.mark.parametrize(
    ("release", "value"),
    [((2, 5), "0"), ((2, 6), "0"), ((2, 7), "1"), ((2, 16), "1"), ((1, 15), "1")],
)
def test_onednn_is_off_if_its_kernels_crash(installed, release, value):
    installed("#define TF_MAJOR_VERSION {}\n#define TF_MINOR_VERSION {}\n".format(*release))
    assert environment.numbers() == release
    assert environment.onednn() == value


def test_a_header_that_says_nothing_is_no_obstacle(installed):
    installed("// moved\n")
    assert environment.numbers() is None
    assert environment.onednn() == "1"
