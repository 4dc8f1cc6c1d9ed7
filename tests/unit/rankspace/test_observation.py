import math
from dataclasses import replace
from typing import Any

import pytest

from rankspace import Observation, RankVector
from rankspace.errors import InvalidInput
from rankspace.observation import DataCounts

COUNTS = DataCounts(
    rows=340,
    dropped=0,
    cut=0,
    repeats=0,
    train=300,
    selection=20,
    final=20,
    row_tokens=412,
    example_tokens=256,
    positions=512,
)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_refused(score: float) -> None:
    with pytest.raises(InvalidInput) as caught:
        Observation(RankVector((1,)), score)
    assert caught.value.field == "score"
    assert "None" in caught.value.hint


@pytest.mark.parametrize("fidelity", [math.nan, 0.0, 1.1])
def test_fidelity_is_a_share(fidelity: float) -> None:
    with pytest.raises(InvalidInput) as caught:
        Observation(RankVector((1,)), 0.5, fidelity=fidelity)
    assert caught.value.field == "fidelity"


def test_a_failed_trial_has_no_score() -> None:
    assert Observation(RankVector((1,)), None).score is None


def test_counts_leave_out_what_is_nought() -> None:
    whole = "300 examples to train on, 20 held out to choose by, 20 for the final scores"
    assert COUNTS.sentence == whole
    assert not COUNTS.is_worrying
    lossy = replace(COUNTS, dropped=290, train=10, cut=12, repeats=5, positions=128)
    assert lossy.sentence == (
        "10 examples to train on, 20 held out to choose by, 20 for the final scores; "
        "290 of 340 rows (85%) dropped, which leave no answer within the sequence length; "
        "12 cut (the longest row has 412 tokens); 5 repeat others and stay on their side; "
        "examples have up to 256 tokens, the model is made for 128"
    )


def test_what_was_recognised_is_told_first() -> None:
    told = replace(COUNTS, shape="messages", tokens=12_345, empty=3, control=7)
    assert told.sentence == (
        "340 conversations (messages); "
        "300 examples to train on, 20 held out to choose by, 20 for the final scores; "
        "12,345 tokens in all; 3 rows have an answer that says nothing; "
        "control tokens are spelled 7 times, and taken for text"
    )


@pytest.mark.parametrize(
    ("change", "worrying"),
    [
        ({"dropped": 34}, False),
        ({"dropped": 35}, True),
        ({"cut": 300, "repeats": 300}, False),
        ({"positions": 256}, False),
        ({"positions": 255}, True),
        ({"positions": 0}, False),
    ],
)
def test_much_that_is_lost_and_too_long_examples_are_worrying(
    change: dict[str, Any], worrying: bool
) -> None:
    assert replace(COUNTS, **change).is_worrying is worrying
