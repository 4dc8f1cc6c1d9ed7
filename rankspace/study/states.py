"""StudyState: where a study stands, and what may follow."""

from collections.abc import Mapping
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType


class StudyState(StrEnum):
    """Where a study is between submission and its end."""

    SURVEYING = "surveying"
    SEARCHING = "searching"
    VERIFYING = "verifying"
    RECOVERING = "recovering"
    DONE = "done"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FAILED = "failed"


STAGES = (
    StudyState.SURVEYING,
    StudyState.SEARCHING,
    StudyState.VERIFYING,
    StudyState.RECOVERING,
    StudyState.DONE,
)
"""How far a study may have come; the other states keep the stage it was in."""
_STOPS = frozenset({StudyState.PAUSED, StudyState.CANCELLED, StudyState.FAILED})
_AGAIN = frozenset({*STAGES[:-1], StudyState.CANCELLED})
STUDY_TRANSITIONS: Mapping[StudyState, frozenset[StudyState]] = MappingProxyType(
    {
        **{now: _STOPS | {after} for now, after in pairwise(STAGES)},
        StudyState.DONE: frozenset({StudyState.SEARCHING}),
        StudyState.PAUSED: _AGAIN,
        StudyState.CANCELLED: frozenset(),
        StudyState.FAILED: _AGAIN,
    }
)
"""Legal moves. A paused or failed study goes back to the stage it was in; one that is done goes on
when a person extends it. That an extension is cancelled undoes it, and is no move of these."""


def sources(state: StudyState) -> tuple[StudyState, ...]:
    """States from which a study may come to ``state``."""
    return tuple(old for old, following in STUDY_TRANSITIONS.items() if state in following)


ACTIVE = sources(StudyState.PAUSED)
"""A study goes on by itself: it has trials to run and is planned."""
RESUMABLE = tuple(state for state, following in STUDY_TRANSITIONS.items() if following == _AGAIN)
OVER = tuple(state for state in StudyState if state not in (*ACTIVE, StudyState.PAUSED))
"""Nothing of it runs or waits; one that failed may be resumed all the same, and one that is done be
extended."""
