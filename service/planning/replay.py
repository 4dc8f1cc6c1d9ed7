"""Replay: recompute every proposal of a study from its event log, to prove they were honest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from perfmodel import ModelState, inform
from rankspace import Observation, Purpose, RankVector, Study
from rankspace.observation import Surveyed
from service.planning.learning import extended, first_state, learned, proposals
from service.storage.documents import (
    belief_of,
    context_of,
    earlier_of,
    space_of,
    submitted_of,
    taught_of,
)
from service.storage.events import Event, Events
from service.studies.repository import Studies
from service.trials.results import fidelity
from service.trials.surveys import paired

BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Mismatch:
    """An offer that the model would not have made.

    Attributes:
        event: Identity of the ``proposed`` event.
        trial: The offer.
        stored: What the log says.
        expected: What the model proposes from the same results and pending trials.
    """

    event: int
    trial: int
    stored: RankVector
    expected: RankVector


@dataclass(slots=True)
class _Tape:
    """What the log has told so far."""

    study: Study
    state: ModelState
    vectors: dict[int, RankVector] = field(default_factory=dict)
    surveyed: dict[int, tuple[tuple[int, ...], ...]] = field(default_factory=dict)
    surveys: list[tuple[Surveyed, ...]] = field(default_factory=list)
    heard: int = 0
    seeds: dict[int, int] = field(default_factory=dict)
    purposes: dict[int, str] = field(default_factory=dict)
    results: list[Observation] = field(default_factory=list)
    watermark: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)


def replay(session: Session, study: str) -> tuple[Mismatch, ...]:
    """Return every offer in the study's log that differs from its recomputation.

    Raises:
        NotFound: There is no such study.
    """
    row = Studies(session).get(study)
    submitted, space = submitted_of(row), space_of(row.space)
    context, belief = context_of(row.context), belief_of(row.belief)
    given, taught = earlier_of(row.earlier), taught_of(row.earlier)
    tape = _Tape(submitted, first_state(space, submitted.search, context, belief, given, taught))
    cursor = 0
    while events := Events(session).after(study, cursor, BATCH):
        for event in events:
            _read(tape, event)
        cursor = events[-1].id
    return tuple(tape.mismatches)


def _read(tape: _Tape, event: Event) -> None:
    if event.kind == "proposed":
        _check(tape, event)
    elif event.kind == "queued" and event.trial is not None:
        _note(tape, event.trial, event.content)
    elif event.kind == "extended":
        tape.state = extended(tape.state, event.content["trials"])
    elif event.kind == "cancelled":
        tape.state = extended(tape.state, -event.content.get("trials", 0))
    elif event.kind in ("done", "failed", "dead") and event.trial in tape.vectors:
        _finish(tape, event.trial, event.content)


def _note(tape: _Tape, trial: int, content: Mapping[str, Any]) -> None:
    tape.vectors[trial] = RankVector(tuple(content["rank_vector"]))
    tape.purposes[trial] = content.get("purpose", Purpose.SEARCH)
    tape.seeds[trial] = content["seed"]
    if "surveyed" in content:
        tape.surveyed[trial] = tuple(map(tuple, content["surveyed"]))


def _finish(tape: _Tape, trial: int, content: Mapping[str, Any]) -> None:
    if content.get("scores"):
        tape.surveys.append(paired(tape.surveyed[trial], tuple(content["scores"])))
    if tape.purposes[trial] == Purpose.SEARCH:
        score, seed = content.get("score"), tape.seeds[trial]
        share = fidelity(tape.study, content.get("steps"))
        tape.results.append(Observation(tape.vectors[trial], score, seed, share))


def _check(tape: _Tape, event: Event) -> None:
    watermark, offers = event.content["watermark"], event.content["offers"]
    tape.state = learned(tape.state, tape.results[tape.watermark : watermark])
    tape.watermark = watermark
    heard = event.content.get("surveys", len(tape.surveys))  # one, before there were further scores
    for scores in tape.surveys[tape.heard : heard]:
        tape.state = inform(tape.state, scores)
    tape.heard = heard
    pending = [tape.vectors[trial] for trial in event.content["pending"]]
    tape.state, expected = proposals(tape.state, len(offers), pending)
    for offer, proposal in zip(offers, expected, strict=True):
        _note(tape, offer["trial"], offer)
        stored = tape.vectors[offer["trial"]]
        if stored != proposal.rank_vector:
            mismatch = Mismatch(event.id, offer["trial"], stored, proposal.rank_vector)
            tape.mismatches.append(mismatch)
