"""Suite files are read without surprises, and each mistake has a place."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import RequestError
from orchestrator.suites import reader
from orchestrator.suites.reader import Mark


def parsed(text: str) -> object:
    return reader.parse(text.encode(), "a.yaml").data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("1:30", "1:30"),
        ("0o17", "0o17"),
        ("010", "010"),
        ("1_000", "1_000"),
        ("2024-05-01", "2024-05-01"),
        ("=", "="),
        ("true", True),
        ("'true'", "true"),
        ("~", None),
        ('"~"', "~"),
        ("-12", -12),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ("1e", "1e"),
        (".5", 0.5),
        (".", "."),
        (".inf", ".inf"),
        ("9999999999999999999999", "9999999999999999999999"),
    ],
)
def test_a_scalar_means_what_it_looks_like(text: str, value: object) -> None:
    found = parsed(f"a: {text}")
    assert found == {"a": value}
    assert type(found["a"]) is type(value)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "a.yaml is empty"),
        (b"# only a comment\n", "a.yaml is empty"),
        (b"a: 1\na: 2\n", "a.yaml:2:1: the key 'a' is here a second time; the first is in line 1"),
        (b"a: {b: 1, b: 2}", "a.yaml:1:11: the key 'b' is here a second time; the first is in li"),
        (b"a: !!python/object:os.system x", "a.yaml:1:4: the tag 'tag:yaml.org,2002:python/obj"),
        (b"a: !!str 3", "a.yaml:1:4: the tag 'tag:yaml.org,2002:str' is not allowed"),
        (b"a: 1\n---\nb: 2\n", "a.yaml:2:1: only one document is allowed"),
        (b"a: \x07", "a.yaml:1:4: a file cannot contain the character U+0007"),
        (b"a: b\n  c: \x1b[2J", "a.yaml:2:6: a file cannot contain the character U+001B"),
        (b"a: \xff", "a.yaml:1:4: this is not UTF-8; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "a.yaml is in UTF-16 or UTF-32; save it as UTF-8"),
        ("a: 1".encode("utf-16-le"), "a.yaml is in UTF-16 or UTF-32; save it as UTF-8"),
        ("a: 1".encode("utf-32"), "a.yaml is in UTF-16 or UTF-32; save it as UTF-8"),
        (b"a: *b", "a.yaml:1:4: nothing above is called &b"),
        (b"a: &b [*b]", "a.yaml:1:8: nothing above is called &b"),
        (b"<<: {a: 1}", "a.yaml:1:1: merge keys (<<) are not allowed; use defaults"),
        (b"? [a]\n: b", "a.yaml:1:3: a key must be a word"),
        (b"a: [1", "a.yaml:2:1: this is not YAML"),
        (b"a: b: c", "a.yaml:1:5: this is not YAML"),
        (b"\ta: b", "a.yaml:1:1: this is not YAML"),
        (b"a: 1e999", "a.yaml:1:4: 1e999 is too large"),
        (b"[" * 3000, "a.yaml:1:41: nested deeper than 40 levels"),
        (b"".join(b" " * n + b"a:\n" for n in range(100)), "a.yaml:41:41: nested deeper than 40"),
        (b"- " * 100 + b"a", "a.yaml:1:81: nested deeper than 40 levels"),
        (b"%YAML 3.0\n---\na: 1", "a.yaml:1:"),
    ],
)
def test_bad_yaml_is_refused_in_one_line(data: bytes, told: str) -> None:
    with pytest.raises(RequestError) as caught:
        reader.parse(data, "a.yaml")
    assert told in str(caught.value)
    assert str(caught.value).isprintable()


def test_an_alias_bomb_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    began = time.process_time()
    with pytest.raises(RequestError, match="more than 200,000 values") as caught:
        parsed("\n".join(lines))
    assert time.process_time() - began < 1
    assert str(caught.value).startswith("a.yaml:6:10: ")


def test_an_alias_repeats_a_value() -> None:
    assert parsed("a: &x {b: [1, 2]}\nc: *x") == {"a": {"b": [1, 2]}, "c": {"b": [1, 2]}}


def test_a_value_and_its_key_have_a_place() -> None:
    document = reader.parse(b"a:\n  - b: 1\n    c: 2\n", "a.yaml")
    assert document.place(("a", 0, "c")) == Mark("a.yaml", 3, 8)
    assert document.key_place(("a", 0, "c")) == Mark("a.yaml", 3, 5)
    assert document.place(("a", 0, "c", "no such")) == Mark("a.yaml", 3, 8)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"# " + b"x" * 10_000_000)
    with pytest.raises(RequestError, match="is larger than 1 MiB"):
        reader.read(path)


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="Is a directory"):
        reader.read(tmp_path)
    with pytest.raises(RequestError, match="No such file"):
        reader.read(tmp_path / "a.yaml")
    with pytest.raises(RequestError, match="is a pipe or a device"):
        reader.read(Path("/dev/zero"))


_TEXT = st.text(max_size=20)
_KEYS = _TEXT.filter(lambda key: key != "<<")  # refused, wherever it is
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_what_pyyaml_writes_is_read_again(data: dict[str, object]) -> None:
    assert reader.parse(yaml.safe_dump(data).encode(), "a.yaml").data == data


@given(st.binary(max_size=200) | st.text(alphabet="{}[]:,-&*!|>'\"#%@ \nab1~?<").map(str.encode))
def test_any_bytes_are_read_or_refused_in_one_line(data: bytes) -> None:
    told = ""
    try:
        reader.parse(data, "a.yaml")
    except RequestError as error:
        told = str(error)
    assert told.isprintable()
