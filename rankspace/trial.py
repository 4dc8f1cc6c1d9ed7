"""Trial: its purposes, its life, and what a worker is handed."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from rankspace.rank_vector import RankVector
from rankspace.recipe import Recipe
from rankspace.search_space import Layer

PROTOCOL = 2
"""Version of the lease protocol: 2 has capabilities in claims."""

LEAST_PROTOCOL = 1
"""Oldest version the service still understands: the one before, so that workers follow later."""


class Purpose(StrEnum):
    """Why a trial runs."""

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


TRANSITIONS: Mapping[TrialState, frozenset[TrialState]] = MappingProxyType(
    {
        TrialState.QUEUED: frozenset(
            {TrialState.RUNNING, TrialState.CANCELLED, TrialState.DONE, TrialState.FAILED}
        ),
        TrialState.RUNNING: frozenset(
            {
                TrialState.QUEUED,
                TrialState.DONE,
                TrialState.FAILED,
                TrialState.CANCELLED,
                TrialState.DEAD,
            }
        ),
        TrialState.DONE: frozenset(),
        TrialState.FAILED: frozenset(),
        TrialState.CANCELLED: frozenset(),
        TrialState.DEAD: frozenset(),
    }
)
"""Legal moves. From ``queued`` to ``done`` or ``failed`` leads a report whose lease expired before
anyone claimed anew."""

FINISHED = frozenset(state for state, following in TRANSITIONS.items() if not following)


class Split(StrEnum):
    """Which half of the held-out data a trial is scored on."""

    SELECTION = "selection"  # the search chooses by it
    FINAL = "final"  # only verification and recovery see it


class Action(StrEnum):
    """The service's answer to a heartbeat."""

    CONTINUE = "continue"
    STOP = "stop"  # report what there is: the trial is hopeless
    CANCEL = "cancel"  # drop it, report nothing
    DRAIN = "drain"  # finish this one, take no more


@dataclass(frozen=True, slots=True)
class Assignment:
    """A lease and all a worker needs to run the trial.

    Attributes:
        trial_id: Identity of the trial.
        token: Fencing token; rises at each claim and travels with every heartbeat and report.
        study_id: Identity of the study.
        study_name: For the log.
        purpose: Why it runs.
        model_path: Directory of the pruned model.
        model_fingerprint: What the directory must hash to.
        recipe: How to fine-tune.
        layers: What the ranks belong to.
        rank_vector: The candidate.
        seed: Seed of initialisation and data order.
        steps: Optimiser steps to take; 0 means the recipe's full epochs.
        epochs: Passes over the training data when ``steps`` is 0.
        split: Held-out half to score on.
        keep_adapter: Whether to upload the trained adapter before reporting.
        lease_seconds: How long the lease lasts without a heartbeat.
        heartbeat_seconds: How often to renew it.
    """

    trial_id: int
    token: int
    study_id: str
    study_name: str
    purpose: Purpose
    model_path: str
    model_fingerprint: str
    recipe: Recipe
    layers: tuple[Layer, ...]
    rank_vector: RankVector
    seed: int
    steps: int
    epochs: int
    split: Split
    keep_adapter: bool
    lease_seconds: float
    heartbeat_seconds: float
