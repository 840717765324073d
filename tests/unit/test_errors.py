"""Suggestions for mistyped words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import nearest, quoted, unknown

WORDS = st.text(min_size=1, max_size=12)


@pytest.mark.slow
@given(choices=st.lists(WORDS.map(str.lower), min_size=1, unique=True), index=st.integers(0, 99))
def test_a_word_of_the_set_is_nearest_to_itself(choices, index):
    word = choices[index % len(choices)]
    assert nearest(word, choices) == word


@given(word=st.text(), choices=st.lists(WORDS))
def test_a_suggestion_is_one_of_the_choices(word, choices):
    assert nearest(word, choices) in (None, *choices)


def test_the_first_of_equally_near_words_is_suggested():
    assert nearest("pytorch", ["pytorch-cpu", "pytorch-gpu"]) == "pytorch-cpu"
    assert nearest("pytorch", ["pytorch-gpu", "pytorch-cpu"]) == "pytorch-gpu"


@given(word=st.text(max_size=500))
def test_a_quoted_word_stays_short_and_on_one_line(word):
    assert "\n" not in quoted(word)
    assert len(quoted(word)) < 1000


@pytest.mark.parametrize(
    ("word", "listing", "told"),
    [
        ("fp23", "", "did you mean 'fp32'? (one of fp32, int8)"),
        ("zzzz", "", "use one of fp32, int8"),
        ("fp23", "benchdock x", "did you mean 'fp32'?"),
        ("zzzz", "benchdock x", "`benchdock x` lists them"),
    ],
)
def test_the_hint_names_what_to_type(word, listing, told):
    error = unknown("type", word, ["fp32", "int8"], listing=listing)
    assert str(error) == f"unknown type {word!r}; {told}"
