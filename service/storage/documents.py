"""Stored JSON documents read back as vocabulary values. Texts never change, so they are kept."""

import json
from dataclasses import dataclass, replace
from typing import Any

from perfmodel.additive.belief import Belief
from perfmodel.evidence.verification import Arms
from rankspace import Context, Observation, PrunedModel, SearchSpace, Study, Verdict
from rankspace.observation import DataCounts
from rankspace.recipe import Inputs
from rankspace.wire import decode, only, pack, unpack
from service.storage.readings import Readings

RETIRED = {"spread": 0.0, "noise": None}
"""Fields of a belief that no strategy ever read. They are still written: a service of the version
before, on the same database during an upgrade, refuses a belief without them."""

MODEL_CHARACTERS = 8 << 20
"""Of the descriptions that are kept: what is made of them takes a dozen times as many bytes."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """Results of another study that one begins with, in the order the model learns them."""

    observations: tuple[Observation, ...]


def write(value: Any) -> str:
    return json.dumps(pack(value), separators=(",", ":"))


def write_study(study: Study) -> str:
    """Put the inputs beside the rest, where a service of the version before does not look.

    On the same database during an upgrade it would refuse a study with a field it does not know.
    """
    packed = pack(study)
    packed["inputs"] = packed["value"].pop("inputs")
    return json.dumps(packed, separators=(",", ":"))


def write_belief(belief: Belief) -> str:
    packed = pack(belief)
    return json.dumps({**packed, "value": {**packed["value"], **RETIRED}}, separators=(",", ":"))


@Readings
def study_of(document: str) -> Study:
    packed = json.loads(document)
    study, inputs = unpack(Study, packed), packed.get("inputs")
    return replace(study, inputs=decode(Inputs, inputs, "inputs")) if inputs else study


@Readings
def space_of(document: str) -> SearchSpace:
    return unpack(SearchSpace, json.loads(document))


def _model(document: str) -> PrunedModel:
    return unpack(PrunedModel, json.loads(document))


model_of = Readings(_model, MODEL_CHARACTERS)


def context_of(document: str | None) -> Context:
    """Studies of before schema 0003 know nothing of their context."""
    return _context(document) if document else Context()


@Readings
def _context(document: str) -> Context:
    return unpack(Context, json.loads(document))


def belief_of(document: str | None) -> Belief | None:
    """Read what a study's prior said, but for the retired fields."""
    return _belief(document) if document else None


@Readings
def _belief(document: str) -> Belief:
    packed = json.loads(document)
    said = packed.get("value") if isinstance(packed, dict) else None
    if isinstance(said, dict):
        packed["value"] = {name: said[name] for name in said if name not in RETIRED}
    return unpack(Belief, packed)


def earlier_of(document: str | None) -> tuple[Observation, ...]:
    """The results a study began with; none for most."""
    return unpack(Earlier, json.loads(document)).observations if document else ()


def counts_of(column: Any) -> DataCounts | None:
    """None before a worker says what the data came to; without what a later release counts."""
    return None if column is None else decode(DataCounts, only(DataCounts, column), "counts")


def arms_of(column: Any) -> Arms | None:
    """None before the verification."""
    return None if column is None else decode(Arms, column, "arms")


def verdict_of(column: Any) -> Verdict | None:
    """None before the end of the verification."""
    return None if column is None else decode(Verdict, column, "verdict")
