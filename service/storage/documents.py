"""Stored JSON documents read back as vocabulary values. Texts never change, so they are cached."""

import json
from functools import lru_cache
from typing import Any

from perfmodel.additive.belief import Belief
from perfmodel.evidence.verification import Arms
from rankspace import Context, PrunedModel, SearchSpace, Study, Verdict
from rankspace.wire import decode, pack, unpack

RETIRED = {"spread": 0.0, "noise": None}
"""Fields of a belief that no strategy ever read. They are still written: a service of the version
before, on the same database during an upgrade, refuses a belief without them."""


def write(value: Any) -> str:
    return json.dumps(pack(value), separators=(",", ":"))


def write_belief(belief: Belief) -> str:
    packed = pack(belief)
    return json.dumps({**packed, "value": {**packed["value"], **RETIRED}}, separators=(",", ":"))


@lru_cache(maxsize=64)
def study_of(document: str) -> Study:
    return unpack(Study, json.loads(document))


@lru_cache(maxsize=64)
def space_of(document: str) -> SearchSpace:
    return unpack(SearchSpace, json.loads(document))


@lru_cache(maxsize=16)
def model_of(document: str) -> PrunedModel:
    return unpack(PrunedModel, json.loads(document))


@lru_cache(maxsize=16)
def context_of(document: str | None) -> Context:
    """Studies of before schema 0003 know nothing of their context."""
    return unpack(Context, json.loads(document)) if document else Context()


@lru_cache(maxsize=16)
def belief_of(document: str | None) -> Belief | None:
    """Read what a study's prior said, but for the retired fields."""
    if not document:
        return None
    packed = json.loads(document)
    said = packed.get("value") if isinstance(packed, dict) else None
    if isinstance(said, dict):
        packed["value"] = {name: said[name] for name in said if name not in RETIRED}
    return unpack(Belief, packed)


def arms_of(column: Any) -> Arms | None:
    """None before the verification."""
    return None if column is None else decode(Arms, column, "arms")


def verdict_of(column: Any) -> Verdict | None:
    """None before the end of the verification."""
    return None if column is None else decode(Verdict, column, "verdict")
