"""The short form of `make stress`, with a fixed seed."""

import pytest

from tests.stress import answers, arguments, kills

SEED = 7


@pytest.mark.slow
def test_random_arguments_end_in_no_bug_and_leave_no_run_without_result(tmp_path):
    seen, filed = arguments.attack(250, SEED, tmp_path)
    assert filed > 10  # runs do start
    assert seen[2] > 100


@pytest.mark.slow
def test_an_engine_that_answers_wrongly_ends_no_run_untold():
    assert answers.outcome() == 0
    # One form in five of each question; another one each.
    chosen = list(answers.cases())[::5]
    assert len(chosen) >= len(answers.QUESTIONS)
    for question, form in chosen:
        answers.outcome(question, form)


@pytest.mark.slow
def test_a_run_that_is_hit_at_a_random_moment_is_filed_and_leaves_nothing(tmp_path):
    seen = kills.attack(len(kills.SIGNALS), SEED, tmp_path)
    assert seen.total() == len(kills.SIGNALS)
