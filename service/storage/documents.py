"""Stored JSON documents read back as vocabulary values. Texts never change, so they are kept."""

import json
from dataclasses import dataclass, replace
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
from rankspace.wire import decode, encode, only, pack, unpack
from service.storage.older_form import JUDGED_BY, read_older
from service.storage.readings import Readings
from service.storage.tables import StudyRow

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


def write_request(study: Study) -> str:
    """All of a study as it is submitted; nobody rewrites it.

    What its verdict is judged by is fixed with it, so that is written also where it says nothing:
    later releases may take something else for it.
    """
    packed = pack(study)
    judged_by = {name: encode(getattr(study.verify, name)) for name in JUDGED_BY}
    packed["value"]["verify"] |= judged_by
    return json.dumps(packed, separators=(",", ":"))


def write_belief(belief: Belief) -> str:
    packed = pack(belief)
    return json.dumps({**packed, "value": {**packed["value"], **RETIRED}}, separators=(",", ":"))


def study_of(row: StudyRow) -> Study:
    """A study as it is by now, extensions and what became known of its inputs included."""
    return present_study(row.request, row.document)


def submitted_of(row: StudyRow) -> Study:
    """A study as it was before anybody extended it; what became known of its inputs included."""
    if row.request is None:
        return read_older(row.submitted or row.document)
    return replace(read_request(row.request), inputs=study_of(row).inputs)


def present_study(request: str | None, document: str) -> Study:
    """Read a study as it is by now.

    Args:
        request: What was submitted, all of it; None where a service of before schema 0012 stored
            the study.
        document: The older form of the study, which says what has changed since: search trials,
            fresh seeds and inputs. Whatever else it says, or has lost, counts for nothing.
    """
    return read_older(document) if request is None else _changed(f"{request}\n{document}")


@Readings
def read_request(request: str) -> Study:
    return unpack(Study, json.loads(request))


@Readings
def _changed(lines: str) -> Study:
    request, _, document = lines.partition("\n")
    study, said = read_request(request), json.loads(document)
    search, verify = said["value"]["search"], said["value"]["verify"]
    budget = replace(study.search.budget, trials=search["budget"]["trials"])
    return replace(
        study,
        search=replace(study.search, budget=budget),
        verify=replace(study.verify, seeds=verify["seeds"], max_trials=verify["max_trials"]),
        inputs=study.inputs.completed(decode(Inputs, said.get("inputs", {}), "inputs")),
    )


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
        recipe=None,
    )


def plain_checked(checked: Checked) -> Checked:
    """What the version before knows of a finding."""
    return replace(checked, comparison=_plain(checked.comparison))


def _plain(comparison: Comparison) -> Comparison:
    return replace(comparison, worst=None, texts=0, texts_seeds=0, least_gain=0.0)
