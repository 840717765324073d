"""Which releases of a framework the backends support."""

from __future__ import annotations

import pytest

from backends.harness import release
from backends.harness.errors import Unsupported


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1.0.1.post2", (1, 0)),
        ("2.13.0+cpu", (2, 13)),
        ("1.0.0a0+056cfaf", (1, 0)),
        ("1.15.0-rc1", (1, 15)),
        ("2.1", (2, 1)),
    ],
)
def test_major_and_minor_are_read_from_what_frameworks_print(text, numbers):
    assert release.numbers(text) == numbers


def test_a_release_that_is_not_one_is_refused():
    with pytest.raises(Unsupported, match="'nightly' is not a release"):
        release.numbers("nightly")


def test_minor_numbers_are_compared_as_numbers():
    release.check("TensorFlow", "1.15.5", (1, 4))
    release.check("TensorFlow", "1.4.0", (1, 4))


@pytest.mark.parametrize("text", ["1.3.1", "0.12.1"])
def test_an_older_release_is_refused_with_the_least_one(text):
    with pytest.raises(Unsupported) as caught:
        release.check("TensorFlow", text, (1, 4))
    assert str(caught.value) == f"TensorFlow {text} is too old: use TensorFlow 1.4 or newer"
