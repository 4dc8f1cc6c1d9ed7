"""Trial: its purposes, its life, and what it is scored on."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Purpose(StrEnum):
    """Why a trial runs."""

    SURVEY = "survey"  # one elastic training before the search, scored at many vectors
    SEARCH = "search"
    CONTROL = "control"  # a random vector: the control arm of the search
    VERIFY = "verify"
    RECOVER = "recover"


class TrialState(StrEnum):
    """Where a trial is between its offer and its end."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    DEAD = "dead"  # lost its worker too often


_ENDS = (TrialState.DONE, TrialState.FAILED, TrialState.CANCELLED, TrialState.DEAD)

TRANSITIONS: Mapping[TrialState, frozenset[TrialState]] = MappingProxyType(
    {
        TrialState.QUEUED: frozenset({TrialState.RUNNING, *_ENDS[:-1]}),
        TrialState.RUNNING: frozenset({TrialState.QUEUED, *_ENDS}),
        **dict.fromkeys(_ENDS, frozenset()),
    }
)
"""Legal moves. From ``queued`` to ``done`` or ``failed`` leads a report whose lease expired before
anyone claimed anew."""

FINISHED = frozenset(state for state, following in TRANSITIONS.items() if not following)


class Split(StrEnum):
    """Which half of the held-out data a trial is scored on."""

    SELECTION = "selection"  # the search chooses by it
    FINAL = "final"  # only verification and recovery see it
