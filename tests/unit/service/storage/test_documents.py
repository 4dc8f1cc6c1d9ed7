"""Stored documents and columns that earlier versions wrote are read as they meant them."""

import json
from typing import Any

import pytest

from perfmodel.additive.belief import Belief
from rankspace.errors import InvalidInput
from rankspace.observation import DataCounts
from rankspace.rank_vector import RankVector
from rankspace.verdict import Answer
from rankspace.wire import encode
from service.storage.documents import (
    arms_of,
    belief_of,
    counts_of,
    verdict_of,
    write_belief,
)

OLD_BELIEF = (
    '{"wire":1,"value":{"log_worth":[0.25,-0.25],"spread":0.71,"noise":0.3,'
    '"prior":"2026-11-25-0123456789ab"}}'
)

ARMS: dict[str, Any] = {
    "candidates": [{"ranks": [2, 4]}, {"ranks": [4, 2]}],
    "uniform": {"ranks": [2, 2]},
    "economy": None,
    "random": {"ranks": [0, 4]},
}
VERSUS = {
    "gain": 0.02,
    "ci_low": 0.01,
    "ci_high": 0.03,
    "seeds": 5,
    "answer": "better",
    "failed": 0,
}
VERDICT: dict[str, Any] = {
    "answer": "better",
    "versus_uniform": VERSUS,
    "best_rank_vector": {"ranks": [2, 4]},
    "best_score": -2.5,
    "best_parameters": 600,
    "uniform_rank_vector": {"ranks": [2, 2]},
    "uniform_score": -2.52,
    "uniform_parameters": 640,
    "versus_random": None,
    "cheapest_rank_vector": {"ranks": [2, 2]},
    "cheapest_parameters": 640,
    "versus_uniform_cheapest": None,
    "margin": 0.004,
    "trials": 40,
}


def test_a_row_of_before_is_read_and_would_be_written_as_it_is() -> None:
    arms, verdict = arms_of(ARMS), verdict_of(VERDICT)
    assert arms is not None
    assert verdict is not None
    assert arms.random == RankVector((0, 4))
    assert verdict.versus_uniform.answer is Answer.BETTER
    assert list(encode(arms).items()) == list(ARMS.items())
    assert list(encode(verdict).items()) == list(VERDICT.items())


def test_an_empty_column_holds_none() -> None:
    assert arms_of(None) is None
    assert verdict_of(None) is None


def test_what_is_damaged_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"arms\.candidates"):
        arms_of({**ARMS, "candidates": None})


@pytest.mark.parametrize(
    "document", [OLD_BELIEF, OLD_BELIEF.replace('"noise":0.3', '"noise":null')]
)
def test_a_belief_that_says_its_spread_and_noise_is_read_without_them(document: str) -> None:
    belief = Belief((0.25, -0.25), "2026-11-25-0123456789ab")
    assert belief_of(document) == belief
    assert belief_of(write_belief(belief)) == belief
    assert belief_of(None) is None


def test_any_other_unknown_field_of_a_belief_is_still_an_error() -> None:
    with pytest.raises(InvalidInput, match="unknown field"):
        belief_of(OLD_BELIEF.replace("spread", "width"))


def test_a_service_of_the_version_before_finds_the_fields_it_demands() -> None:
    value = json.loads(write_belief(Belief((0.25, -0.25))))["value"]
    assert value == {"log_worth": [0.25, -0.25], "prior": "", "spread": 0.0, "noise": None}


def test_counts_of_a_later_release_are_read_without_what_it_added() -> None:
    counts = DataCounts(9, 1, 2, 3, 4, 2, 2, 6, 5, 7)
    assert counts_of({**encode(counts), "later": 1}) == counts
    assert counts_of(None) is None
