"""Stored JSON documents read back as vocabulary values. They never change, so reading is cached."""

import json
from functools import lru_cache
from typing import Any

from perfmodel.additive.belief import Belief
from rankspace import Context, PrunedModel, SearchSpace, Study
from rankspace.wire import pack, unpack

RETIRED = ("spread", "noise")
"""Fields of a belief that no strategy ever read."""


def write(value: Any) -> str:
    return json.dumps(pack(value), separators=(",", ":"))


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
    """Read what a study's prior said; a document of before 2026-11-29 says more, read by nobody."""
    if not document:
        return None
    packed = json.loads(document)
    for name in RETIRED:
        packed["value"].pop(name, None)
    return unpack(Belief, packed)
