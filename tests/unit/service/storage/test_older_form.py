"""What was submitted is read whole; the older form beside it is for services of before."""

import json
from dataclasses import replace
from typing import Any

import pytest

from rankspace.errors import InvalidInput
from rankspace.recipe import Data, Inputs, Recipe
from rankspace.study import Control, Extension, StrategyName, Study, Survey, Verify
from rankspace.wire import unpack
from service.storage.documents import present_study, write_request
from service.storage.older_form import JUDGED_BY, read_older, write_older

STUDY = Study("s", "/m", Recipe(Data("t.jsonl")))
A, B = "a" * 64, "b" * 64
LATER = replace(
    STUDY,
    search=replace(STUDY.search, strategy=StrategyName.BLEND),
    verify=Verify(
        margin=0.5,
        least_gain=0.25,
        controls=(Control.O_PROJ,),
        rates=(3.0,),
        at="recipe",
        recipe_seeds=4,
    ),
    inputs=Inputs(A, B, 2),
    paper="paper-1",
)
"""With all that came later."""


def forgetful(document: str) -> dict[str, Any]:
    """What a service of before knows of a document, which it keeps of what it rewrites."""
    packed = json.loads(document)
    return {name: packed[name] for name in ("wire", "value")}


@pytest.mark.parametrize("study", [STUDY, LATER, replace(STUDY, inputs=Inputs(A))])
def test_a_study_comes_back_in_either_form(study: Study) -> None:
    assert present_study(write_request(study), write_older(study)) == study
    assert present_study(None, write_older(study)) == read_older(write_older(study)) == study


def test_a_service_of_before_meets_no_field_and_no_strategy_that_it_does_not_know() -> None:
    said = forgetful(write_older(LATER))
    assert not {"inputs", "paper"} & said["value"].keys()
    assert not {*JUDGED_BY} & said["value"]["verify"].keys()
    assert said["value"]["search"]["strategy"] == "additive"
    assert unpack(Study, said) == STUDY


def test_memory_that_is_not_stated_is_left_out_and_none_that_is_stated_is_not() -> None:
    """Services of before read 0 where it is left out, and let any worker in, as they did."""
    assert "gpu_memory_gib" not in forgetful(write_older(STUDY))["value"]
    assert "gpu_memory_gib" not in json.loads(write_request(STUDY))["value"]
    stated = replace(STUDY, gpu_memory_gib=0.0)
    assert json.loads(write_request(stated))["value"]["gpu_memory_gib"] == 0.0
    assert present_study(write_request(stated), write_older(stated)) == stated != STUDY


OF_STUDY = {"name", "model", "recipe", "search", "verify", "recover", "gpu_memory_gib"}
OF_SEARCH = {"ranks", "granularity", "fixed", "budget", "trial", "strategy", "prior", "seed"}
OF_VERIFY = {"candidates", "seeds", "max_trials", "random_control"}
"""All that services of schemas 0009 and 0010 look for within a study; what else there is, these
refuse."""


@pytest.mark.parametrize(("survey", "refused"), [(None, set()), (Survey(), {"survey"})])
def test_a_service_of_schema_0010_refuses_a_survey_and_nothing_else(
    survey: Survey | None, refused: set[str]
) -> None:
    """It does so rather than search without one; and no study without a survey names it."""
    study = replace(LATER, search=replace(STUDY.search, survey=survey))
    said = forgetful(write_older(study))["value"]
    assert said.keys() <= OF_STUDY
    assert said["verify"].keys() <= OF_VERIFY
    assert said["search"].keys() - OF_SEARCH == refused
    assert present_study(write_request(study), write_older(study)) == study


@pytest.mark.parametrize("strategy", [StrategyName.ADDITIVE, StrategyName.GP])
def test_strategies_that_it_knows_have_no_stand_in(strategy: StrategyName) -> None:
    study = replace(STUDY, search=replace(STUDY.search, strategy=strategy))
    assert json.loads(write_older(study)).keys() == {"wire", "value", "inputs", "judged_by"}
    assert read_older(write_older(study)).search.strategy is strategy


def test_what_a_service_of_before_has_rewritten_has_lost_nothing() -> None:
    left = json.dumps(forgetful(write_older(LATER)))
    assert read_older(left) == STUDY
    assert present_study(write_request(LATER), left) == LATER


def test_what_it_has_changed_counts() -> None:
    by = Extension(trials=5, seeds=20)
    extended = LATER.extended(by)
    assert extended.verify.max_trials > LATER.verify.max_trials
    left = json.dumps(forgetful(write_older(extended)))
    assert present_study(write_request(LATER), left) == extended


def test_inputs_that_became_known_complete_those_that_were_submitted() -> None:
    submitted = replace(LATER, inputs=Inputs(A))
    known = write_older(replace(submitted, inputs=Inputs(A, B, 2)))
    assert present_study(write_request(submitted), known) == LATER


def test_what_a_verdict_is_judged_by_is_written_also_where_nobody_said_anything() -> None:
    """Whatever later releases take for it."""
    said = json.loads(write_request(STUDY))["value"]["verify"]
    assert {name: said[name] for name in JUDGED_BY} == {
        "margin": 0.01,
        "least_gain": None,
        "controls": [],
        "rates": [],
        "at": "trial",
        "recipe_seeds": 3,
    }
    assert json.loads(write_older(STUDY))["judged_by"] == {name: said[name] for name in JUDGED_BY}


def test_a_study_of_before_says_nothing_of_its_inputs() -> None:
    assert read_older(json.dumps(forgetful(write_older(STUDY)))) == STUDY


def test_an_unknown_field_of_what_was_submitted_is_an_error() -> None:
    packed = json.loads(write_request(STUDY))
    packed["value"]["later"] = 1
    with pytest.raises(InvalidInput, match="later = 1: unknown field"):
        present_study(json.dumps(packed), write_older(STUDY))
