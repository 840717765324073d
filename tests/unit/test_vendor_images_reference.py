"""Image references: every form that an engine accepts, and junk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RequestError
from orchestrator.images.reference import parse_reference

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("nvcr.io/nvidia/caffe2:18.08-py3", "nvcr.io|nvidia/caffe2|18.08-py3|18.08|py3"),
        ("nvcr.io/nvidia/tensorflow:20.03-tf1-py3",
         "nvcr.io|nvidia/tensorflow|20.03-tf1-py3|20.03|tf1-py3"),
        ("nvcr.io/nvidia/theano:18.08", "nvcr.io|nvidia/theano|18.08|18.08|"),
        ("localhost:5000/nvidia/pytorch:20.06-py3",
         "localhost:5000|nvidia/pytorch|20.06-py3|20.06|py3"),
        ("mirror:5000/pytorch", "mirror:5000|pytorch|||"),
        ("bvlc/caffe:gpu", "|bvlc/caffe|gpu||"),
        ("debian:13.5", "|debian|13.5||"),
        ("debian", "|debian|||"),
    ],
)  # fmt: skip
def test_parts(text: str, parts: str) -> None:
    found = parse_reference(text)
    read = (found.registry, found.repository, found.tag, found.release, found.suffix)
    assert "|".join(read) == parts
    assert str(found) == text


def test_short_is_what_a_person_calls_it() -> None:
    assert parse_reference("localhost:5000/nvidia/caffe2:18.08-py3").short == "caffe2:18.08-py3"
    assert parse_reference("mirror:5000/pytorch").short == "pytorch"


def test_digest_with_and_without_a_tag() -> None:
    both = parse_reference(f"nvcr.io/nvidia/pytorch:24.06-py3@{DIGEST}")
    assert (both.release, both.digest) == ("24.06", DIGEST)
    pinned = parse_reference(f"nvcr.io/nvidia/pytorch@{DIGEST}")
    assert (pinned.tag, pinned.release, pinned.digest) == ("", "", DIGEST)


@pytest.mark.parametrize(
    "text",
    ["", " ", ":", "a:", ":tag", "a@", "a@sha256:12", "Upper/case", "a//b", "/a", "a/", "a b:tag",
     "a:tag:tag", "a:-tag", "a\n", "https://nvcr.io/nvidia/pytorch", "nvcr.io/nvidia/pytörch"],
)  # fmt: skip
def test_junk_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        parse_reference(text)


@pytest.mark.parametrize("tag", ["18.00-py3", "18.13-py3", "8.08", "118.08", "18.8", "18.08_py3"])
def test_only_a_month_is_a_release(tag: str) -> None:
    assert parse_reference(f"nvcr.io/nvidia/caffe2:{tag}").release == ""


words = st.from_regex(r"[a-z0-9]{1,8}(?:[._-][a-z0-9]{1,5})?", fullmatch=True)


registries = st.sampled_from(["nvcr.io/", "localhost/", "localhost:5000/", "r.example:443/", ""])
suffixes = st.sampled_from(["", "-py2", "-py3", "-tf1-py3", "-tf2-py3", "-py3-igpu"])
months = st.builds("{:02}.{:02}".format, st.integers(0, 99), st.integers(1, 12))


@pytest.mark.slow
@given(registries, st.lists(words, max_size=3), months, suffixes, st.booleans())
def test_every_monthly_tag_reads_back(registry, path, month, suffix, pinned) -> None:
    # Without a registry a first part such as "a.b" would be taken for one.
    repository = "/".join(["nvidia", *path])
    text = f"{registry}{repository}:{month}{suffix}" + (f"@{DIGEST}" if pinned else "")
    found = parse_reference(text)
    assert (found.repository, found.release) == (repository, month)
    assert f"-{found.suffix}" == (suffix or "-")
    assert str(found) == text


@given(st.text(max_size=60))
def test_any_text_is_read_back_or_refused(text: str) -> None:
    try:
        found = parse_reference(text)
    except RequestError:
        return
    assert str(found) == text
