"""The life of a study: one table says which state follows which, and what follows from that."""

import itertools

import pytest

from rankspace.study import (
    ACTIVE,
    OVER,
    RESUMABLE,
    STAGES,
    STUDY_TRANSITIONS,
    StudyState,
    sources,
)

S = StudyState


def test_every_state_says_what_may_follow() -> None:
    assert set(STUDY_TRANSITIONS) == set(StudyState)


def test_the_groups_of_states_follow_from_the_table() -> None:
    assert ACTIVE == (S.SEARCHING, S.VERIFYING, S.RECOVERING)
    assert RESUMABLE == (S.PAUSED, S.FAILED)
    assert OVER == (S.DONE, S.CANCELLED, S.FAILED)
    assert STAGES == (S.SEARCHING, S.VERIFYING, S.RECOVERING, S.DONE)


def test_the_stages_come_in_one_order() -> None:
    for stage, following in itertools.pairwise(STAGES):
        assert STUDY_TRANSITIONS[stage] & {*STAGES} == {following}


@pytest.mark.parametrize("state", [S.DONE, S.CANCELLED])
def test_nothing_follows_on_an_end(state: StudyState) -> None:
    assert not STUDY_TRANSITIONS[state]


def test_a_pause_is_no_way_around_a_stage() -> None:
    assert sources(S.DONE) == (S.RECOVERING,)
    assert sources(S.FAILED) == ACTIVE
    assert sources(S.CANCELLED) == (*ACTIVE, *RESUMABLE)
