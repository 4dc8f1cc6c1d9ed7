"""Replies: the list that was asked for, or nothing."""

import time

import pytest

from pruning.search.reply import pair_in, rates_in, without_echo

NOTHING = [
    "",
    "I would rather not.",
    "[0.1, 0.2]",
    "[0.1, 0.2, 0.3, 0.4]",
    "[0.1, 0.2, 1.5]",
    "[0.1, 0.2, -0.1]",
    "[10, 20, 30]",
    '["0.1", "0.2", "0.3"]',
    "[0.1, 0.2, true]",
    "[0.1, 0.2, NaN]",
    "[0.1, 0.2, Infinity]",
    "[0.1, 0.2, 1e999]",
    "[0.1, 0.2, null]",
    "[0.1, 0.2, [0.3]]",
    "[0.1 0.2 0.3]",
    "[0.1, 0.2, 0.3",
    f"[0.1, 0.2, {'9' * 10_000}]",
    "[" * 100_000,
    "[0.1," * 100_000,
    "\x1b]0;title\x07\x1b[2J",
]


@pytest.mark.parametrize("text", NOTHING, ids=range(len(NOTHING)))
def test_what_is_not_the_list_that_was_asked_for_is_nothing(text: str) -> None:
    began = time.process_time()
    assert rates_in(text, 3) is None
    assert time.process_time() - began < 5.0


@pytest.mark.parametrize(
    "text",
    [
        "[0.1, 0.2, 1]",
        "Sure!\n```json\n[0.1, 0.2, 1.0]\n```\nGood luck.",
        "First [0.5, 0.5, 0.5], but no: [1e-1, 0.2, 1]",
        "[[0.1, 0.2, 1.0]]",
        '{"rates": [0.1, 0.2, 1.0]}',
        "[0.1, 0.2, 1.0] and see [1]",
    ],
)
def test_the_last_list_that_fits_is_taken(text: str) -> None:
    assert rates_in(text, 3) == (0.1, 0.2, 1.0)


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("[0, 2]", (0, 2)),
        ("candidates [2, 1].", (2, 1)),
        ("[1, 1]", None),
        ("[0, 3]", None),
        ("[-1, 0]", None),
        ("[0.0, 1.0]", None),
        ("[true, false]", None),
        ("[0, 1, 2]", None),
    ],
)
def test_two_different_numbers_of_candidates(text: str, pair: tuple[int, int] | None) -> None:
    assert pair_in(text, 3) == pair


def test_a_question_that_is_repeated_answers_nothing() -> None:
    prompt = "Known: [0.1, 0.2, 0.3]. Propose one."
    assert rates_in(prompt, 3) == (0.1, 0.2, 0.3)
    assert rates_in(without_echo(f"{prompt}\n{prompt}", prompt), 3) is None
    assert rates_in(without_echo(f"{prompt} [0.3, 0.2, 0.1]", prompt), 3) == (0.3, 0.2, 0.1)
