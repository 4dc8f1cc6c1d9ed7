"""The life of a study: one table says which state follows which, and what follows from that."""

import itertools

import pytest

from rankspace.errors import InvalidInput
from rankspace.study import (
    ACTIVE,
    MOST_CANDIDATES,
    OVER,
    RESUMABLE,
    STAGES,
    STUDY_TRANSITIONS,
    Extension,
    StudyState,
    Verify,
    sources,
)

S = StudyState


def test_every_state_says_what_may_follow() -> None:
    assert set(STUDY_TRANSITIONS) == set(StudyState)


def test_the_groups_of_states_follow_from_the_table() -> None:
    assert ACTIVE == (S.SURVEYING, S.SEARCHING, S.VERIFYING, S.RECOVERING)
    assert RESUMABLE == (S.PAUSED, S.FAILED)
    assert OVER == (S.DONE, S.CANCELLED, S.FAILED)
    assert STAGES == (S.SURVEYING, S.SEARCHING, S.VERIFYING, S.RECOVERING, S.DONE)


def test_the_stages_come_in_one_order() -> None:
    for stage, following in itertools.pairwise(STAGES):
        assert STUDY_TRANSITIONS[stage] & {*STAGES} == {following}


def test_what_is_cancelled_stays_so_and_what_is_done_may_be_searched_further() -> None:
    assert not STUDY_TRANSITIONS[S.CANCELLED]
    assert STUDY_TRANSITIONS[S.DONE] == {S.SEARCHING}


def test_a_pause_is_no_way_around_a_stage() -> None:
    assert sources(S.DONE) == (S.RECOVERING,)
    assert sources(S.FAILED) == ACTIVE
    assert sources(S.CANCELLED) == (*ACTIVE, *RESUMABLE)


def test_an_extension_has_as_many_candidates_as_a_person_tries_at_once() -> None:
    vectors = ((0, 2),) * (MOST_CANDIDATES + 1)
    assert Extension(candidates=vectors[1:]).ordered == MOST_CANDIDATES
    with pytest.raises(InvalidInput, match=f"candidates = {len(vectors)}: are too many"):
        Extension(candidates=vectors)


def test_more_seeds_come_with_trials_enough_for_them() -> None:
    few = Verify(candidates=2, seeds=3, max_trials=20)
    many = few.on(20)
    assert many.max_trials == many.least_trials() > few.max_trials
    assert few.on(4).max_trials == 20
    assert many.on(3).max_trials == many.max_trials
