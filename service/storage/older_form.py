"""The older form of a study: what services of before schema 0012 read, write and rewrite.

They share the database while a new release takes their place. What they do not know of lies beside
the rest, where they do not look: they refuse a field that they do not know, and what they rewrite
loses all that lies beside. A survey lies within, and so do metrics of recovered models: one of
schema 0010, or of lease protocol 6, cannot read a study that has some, rather than plan it as one
without.

So a study is read from what was submitted (``documents``), and this form only where one of them has
stored it, until housekeeping has kept what was submitted, within half a minute; what one of before
schema 0010 rewrites until then loses what lies beside. Once no such service runs, and no study is
without, this room can go.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from rankspace import Study
from rankspace.recipe import Inputs
from rankspace.study import StrategyName, Verify
from rankspace.wire import decode, encode, only, pack, unpack
from service.storage.readings import Readings

BESIDE = ("inputs", "paper")
"""Fields of a study that came after its first release."""

JUDGED_BY = ("margin", "least_gain", "controls", "rates", "at", "recipe_seeds")
"""Fields of ``verify`` that came later; all of them are written, whatever they say."""

STAND_INS: Mapping[StrategyName, StrategyName] = MappingProxyType(
    {StrategyName.BLEND: StrategyName.ADDITIVE}
)
"""What a service of before proposes by where it does not know the study's strategy: it would fail
the study."""


def write_older(study: Study) -> str:
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


@Readings
def read_older(document: str) -> Study:
    packed = json.loads(document)
    value, inputs = packed.get("value"), packed.get("inputs")
    if beside := packed.get("judged_by"):  # studies of before schema 0010 have none
        value = {**value, "verify": {**value["verify"], **only(Verify, beside)}}
    if "strategy" in packed:
        value = {**value, "search": {**value["search"], "strategy": packed["strategy"]}}
    study = unpack(Study, {**packed, "value": value})
    study = replace(study, paper=packed.get("paper", False))
    return replace(study, inputs=decode(Inputs, inputs, "inputs")) if inputs else study
