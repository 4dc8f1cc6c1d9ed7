"""Stored JSON documents read back as vocabulary values. Texts never change, so they are kept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from perfmodel.additive.belief import Belief
from perfmodel.evidence.arms import Arms, Controls
from rankspace import (
    Comparison,
    Context,
    Observation,
    PrunedModel,
    SearchSpace,
    Study,
    Verdict,
)
from rankspace.front import Checked
from rankspace.observation import DataCounts, Taught, TextLosses
from rankspace.recipe import Inputs
from rankspace.study import StrategyName, Verify
from rankspace.wire import decode, encode, only, pack, unpack
from service.storage.readings import Readings

RETIRED = {"spread": 0.0, "noise": None}
"""Fields of a belief that no strategy ever read. They are still written: a service of the version
before, on the same database during an upgrade, refuses a belief without them."""

MODEL_CHARACTERS = 8 << 20
"""Of the descriptions that are kept: what is made of them takes a dozen times as many bytes."""


BESIDE = ("inputs", "paper")
"""Fields of a study that came after its first release. What a service of before writes of a study
lacks the preset's name then, and has all that it set."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """Results of another study that one begins with, in the order the model learns them."""

    observations: tuple[Observation, ...]


STAND_INS: Mapping[StrategyName, StrategyName] = MappingProxyType(
    {StrategyName.BLEND: StrategyName.ADDITIVE}
)
"""What a service of the version before proposes by, on the same database during an upgrade, where
it does not know the study's strategy: it would fail the study."""


def write(value: Any) -> str:
    return json.dumps(pack(value), separators=(",", ":"))


JUDGED_BY = ("margin", "least_gain", "controls", "rates")
"""Fields of ``verify`` that are stored beside it, with their defaults: these are fixed when a study
is submitted, whatever later releases take for them."""


def write_study(study: Study) -> str:
    """Put the fields of ``BESIDE`` beside the rest, where a service of before does not look.

    On the same database during an upgrade it would refuse a study with a field it does not know,
    and likewise one with a strategy that came later, which has a stand-in there. What its verdict
    is judged by lies beside it, too.
    """
    packed = pack(study)
    value = packed["value"]
    packed |= {name: value.pop(name) for name in BESIDE if name in value}
    packed["judged_by"] = {name: encode(getattr(study.verify, name)) for name in JUDGED_BY}
    for name in JUDGED_BY:
        value["verify"].pop(name, None)
    if stand_in := STAND_INS.get(study.search.strategy):
        packed["strategy"] = study.search.strategy.value
        value["search"]["strategy"] = stand_in.value
    return json.dumps(packed, separators=(",", ":"))


def write_belief(belief: Belief) -> str:
    packed = pack(belief)
    return json.dumps({**packed, "value": {**packed["value"], **RETIRED}}, separators=(",", ":"))


@Readings
def study_of(document: str) -> Study:
    packed = json.loads(document)
    value, inputs = packed.get("value"), packed.get("inputs")
    if beside := packed.get("judged_by"):  # studies of before have none
        value = {**value, "verify": {**value["verify"], **only(Verify, beside)}}
    if "strategy" in packed:
        value = {**value, "search": {**value["search"], "strategy": packed["strategy"]}}
    study = unpack(Study, {**packed, "value": value})
    study = replace(study, paper=packed.get("paper", False))
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


def write_earlier(earlier: Earlier, taught: Taught | None) -> str | None:
    """Put what other studies taught beside the results, where a service of before does not look."""
    if taught is None:
        return write(earlier) if earlier.observations else None
    return json.dumps({**pack(earlier), "taught": encode(taught)}, separators=(",", ":"))


def taught_of(document: str | None) -> Taught | None:
    """What other studies taught a study before its first trial; None for most."""
    taught = json.loads(document).get("taught") if document else None
    return decode(Taught, taught, "taught") if taught else None


def counts_of(column: Any) -> DataCounts | None:
    """None before a worker says what the data came to; without what a later release counts."""
    return None if column is None else decode(DataCounts, only(DataCounts, column), "counts")


def arms_of(column: Any) -> Arms | None:
    """None before the verification."""
    return None if column is None else decode(Arms, column, "arms")


def controls_of(column: Any) -> Controls | None:
    """None before the verification, and for those that began before there were controls."""
    return None if column is None else decode(Controls, only(Controls, column), "controls")


def texts_of(column: Any) -> TextLosses | None:
    """None of trials that were not asked for it."""
    return None if column is None else decode(TextLosses, column, "texts")


def verdict_of(column: Any, answer: Any = None) -> Verdict | None:
    """None before the end of the verification.

    Args:
        column: The verdict as a service of the version before reads it.
        answer: All of it; where it is of another verdict, that service has written a newer one.
    """
    if column is None or answer is None:
        return None if column is None else decode(Verdict, column, "verdict")
    whole = decode(Verdict, only(Verdict, answer), "answer")
    plain = decode(Verdict, column, "verdict")
    return whole if plain_verdict(whole) == plain else plain


def plain_verdict(verdict: Verdict) -> Verdict:
    """What the version before knows of a verdict."""
    return replace(
        verdict,
        versus_uniform=_plain(verdict.versus_uniform),
        versus_random=verdict.versus_random and _plain(verdict.versus_random),
        versus_uniform_cheapest=(
            verdict.versus_uniform_cheapest and _plain(verdict.versus_uniform_cheapest)
        ),
        luck=0.0,
        controls=(),
        rates=None,
    )


def plain_checked(checked: Checked) -> Checked:
    """What the version before knows of a finding."""
    return replace(checked, comparison=_plain(checked.comparison))


def _plain(comparison: Comparison) -> Comparison:
    return replace(comparison, worst=None, texts=0, texts_seeds=0, least_gain=0.0)
