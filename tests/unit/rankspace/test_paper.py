"""The preset ``paper``: what it sets, what it leaves alone, and what contradicts it."""

from dataclasses import replace
from typing import Any

import pytest

from rankspace import LayerProfile, Matrix, PrunedModel, Study
from rankspace.errors import InvalidInput
from rankspace.granularity import search_space
from rankspace.presets.paper import NEWEST, PRESETS, check_given, expanded, sentence, whole_blocks
from rankspace.recipe import Data, Recipe
from rankspace.study import Budget, Granularity, Search, StrategyName, Survey, Verify
from rankspace.wire import decode, encode

MODULES = ("q_proj", "down_proj")


def model(*widths: int) -> PrunedModel:
    """A block for each FFN width; attention is left alone."""
    matrices = [
        Matrix(f"model.layers.{block}.{module}", block, module, d_in, 16)
        for block, width in enumerate(widths)
        for module, d_in in (("q_proj", 16), ("down_proj", width))
    ]
    return PrunedModel("/m", "f" * 64, "LlamaForCausalLM", 1000, tuple(matrices))


MODEL = model(48, 24, 24, 48)
PAPER = Study("s", "/m", Recipe(Data("t.jsonl"), modules=MODULES), paper=True)
WHOLE = {"model.layers.0": 8, "model.layers.3": 8}


def test_it_sets_blocks_ranks_strategy_and_what_is_left_whole() -> None:
    study = expanded(PAPER, MODEL)
    assert study.paper == NEWEST
    assert study.search == Search(
        ranks=(2, 4, 6, 8, 10, 12),
        granularity=Granularity.BLOCK,
        strategy=StrategyName.RANKADAPTOR,
        fixed=WHOLE,
    )
    space = search_space(MODEL, MODULES, study.search)
    assert space.free_layers == [1, 2]
    assert [layer.name for layer in space.layers] == [f"model.layers.{at}" for at in range(4)]


def test_without_it_a_study_stays_as_it_is() -> None:
    plain = replace(PAPER, paper=False)
    assert expanded(plain, MODEL) is plain
    assert sentence(plain) == ""


def test_what_it_does_not_set_is_the_study_s() -> None:
    own = Search(budget=Budget("uniform:4", trials=9), seed=3, prior="none")
    search = expanded(replace(PAPER, search=own), MODEL).search
    assert (search.budget, search.seed, search.prior) == (own.budget, 3, "none")


def test_its_verdict_may_be_of_the_whole_recipe() -> None:
    own = replace(PAPER, verify=Verify(at="recipe", recipe_seeds=4))
    study = expanded(own, MODEL)
    assert study.verify == own.verify
    assert study.verify.recoveries() == 9
    assert decode(Study, encode(study)) == study
    assert "recipe_seeds" not in encode(expanded(PAPER, MODEL))["verify"]


def test_it_is_expanded_once_and_means_the_same_when_more_is_known_of_the_model() -> None:
    once = expanded(PAPER, MODEL)
    profiled = replace(MODEL, profiles=(_profile("model.layers.0.q_proj", 0.5),))
    assert whole_blocks(profiled, MODULES) == ("model.layers.3",)
    assert expanded(once, profiled) == once
    assert expanded(decode(Study, encode(once)), MODEL) == once


def test_its_name_in_a_file_pins_it() -> None:
    assert expanded(replace(PAPER, paper=NEWEST), MODEL) == expanded(PAPER, MODEL)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ranks": (2, 4)}, "search.ranks"),
        ({"strategy": StrategyName.GP}, "search.strategy"),
        ({"fixed": {"model.layers.1": 8}}, "search.fixed"),
        ({"fixed": WHOLE | {"model.layers.0": 4}}, "search.fixed"),
    ],
)
@pytest.mark.parametrize("paper", [True, NEWEST])
def test_what_contradicts_it_is_refused_with_the_fix(
    change: dict[str, Any], field: str, paper: bool | str
) -> None:
    given = replace(PAPER, paper=paper, search=replace(Search(), **change))
    with pytest.raises(InvalidInput) as refused:
        expanded(given, MODEL)
    assert refused.value.field == field
    assert "paper sets it to" in refused.value.problem
    assert "leave paper out" in refused.value.hint


def test_a_stored_study_fixes_no_other_rank() -> None:
    once = expanded(PAPER, MODEL)
    other = replace(once, search=replace(once.search, fixed={"model.layers.1": 4}))
    with pytest.raises(InvalidInput, match=r"search\.fixed"):
        expanded(other, MODEL)


def test_by_name_and_with_its_settings_the_blocks_are_the_study_s_own_if_they_are_blocks() -> None:
    once = expanded(PAPER, MODEL)

    def fixing(fixed: dict[str, int]) -> Study:
        return replace(once, search=replace(once.search, fixed=fixed))

    other = fixing({"model.layers.1": 8})
    assert expanded(other, MODEL) == other
    for pattern in ("model.layers.*", "model.layers.1.*", "model.layers.9"):
        with pytest.raises(InvalidInput, match=r"search\.fixed = .*paper sets it to"):
            expanded(fixing({pattern: 8}), MODEL)
    assert expanded(fixing({}), MODEL) == once
    with pytest.raises(InvalidInput, match=r"search\.fixed"):
        expanded(replace(other, paper=True), MODEL)


@pytest.mark.parametrize("paper", ["true", "paper-99", ""])
def test_an_unknown_preset_is_refused(paper: str) -> None:
    with pytest.raises(InvalidInput, match=r"paper = .*no preset") as refused:
        expanded(replace(PAPER, paper=paper), MODEL)
    assert "write true" in refused.value.hint


def test_a_name_has_a_bounded_length() -> None:
    with pytest.raises(InvalidInput, match="paper = "):
        replace(PAPER, paper="x" * 101)


@pytest.mark.parametrize("value", [1, 0, None, [], {}])
def test_only_true_false_or_a_name_is_taken(value: object) -> None:
    with pytest.raises(InvalidInput) as refused:
        decode(Study, {**encode(PAPER), "paper": value})
    assert refused.value.field == "paper"


@pytest.mark.parametrize(
    ("search", "field"),
    [
        ({"granularity": "module"}, "search.granularity"),
        ({"strategy": "additive"}, "search.strategy"),
        ({"ranks": [0, 2, 4, 6, 8, 10, 12, 16]}, "search.ranks"),
    ],
)
@pytest.mark.parametrize("paper", [True, NEWEST])
def test_a_default_that_a_file_spells_out_contradicts_it_too(
    search: dict[str, Any], field: str, paper: bool | str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_given({"paper": paper, "search": search})
    assert refused.value.field == field
    assert "leave it out" in refused.value.hint
    check_given({"paper": False, "search": search})
    check_given({"search": search})


def test_that_nothing_is_fixed_contradicts_it_but_not_its_name() -> None:
    """A file written from a study says it where no block was left whole."""
    with pytest.raises(InvalidInput, match=r"search\.fixed = .*blocks that pruning left whole"):
        check_given({"paper": True, "search": {"fixed": {}}})
    check_given({"paper": NEWEST, "search": {"fixed": {}}})
    check_given({"paper": True, "search": {"fixed": WHOLE}})


def test_the_same_in_other_words_and_a_broken_file_are_left_to_their_reader() -> None:
    check_given({"paper": True, "search": encode(expanded(PAPER, MODEL).search)})
    broken: tuple[Any, ...] = (
        None,
        [],
        {"paper": True, "search": {"fixed": 3}},
        {"paper": True},
        {"paper": True, "search": 3},
    )
    for document in broken:
        check_given(document)
    check_given({"paper": "other", "search": {"granularity": "module"}})


def test_blocks_are_told_apart_by_their_shapes_and_by_what_profiling_found() -> None:
    assert whole_blocks(MODEL, MODULES) == ("model.layers.0", "model.layers.3")
    assert whole_blocks(model(24, 24, 24), MODULES) == ()
    alike = replace(model(24, 24, 24), profiles=(_profile("model.layers.1.down_proj", 0.5),))
    assert whole_blocks(alike, MODULES) == ("model.layers.0", "model.layers.2")


def profiled(described: PrunedModel, *kept: float) -> PrunedModel:
    """Profiles of all matrices: so much was kept of each block's FFN, and all of its attention."""
    profiles = (
        _profile(m.name, kept[m.block] if m.module == "down_proj" else 1.0)
        for m in described.matrices
    )
    return replace(described, profiles=tuple(profiles))


@pytest.mark.parametrize(
    ("kept", "whole"),
    [
        ((1.0, 1.0, 1.0, 1.0), ()),  # of several shapes by design
        ((0.5, 1.0, 0.5, 0.5), ("model.layers.1",)),  # smaller by design, and whole
        ((0.9, 0.5, 0.5, 0.9), ()),  # all cut, the largest too
        ((1.0, 0.5, 0.5, 1.0), ("model.layers.0", "model.layers.3")),
    ],
)
def test_where_all_matrices_of_a_block_have_profiles_these_alone_decide(
    kept: tuple[float, ...], whole: tuple[str, ...]
) -> None:
    assert whole_blocks(profiled(MODEL, *kept), MODULES) == whole


def test_a_block_with_some_profiles_is_told_by_its_shapes_too() -> None:
    some = profiled(MODEL, 1.0, 1.0, 1.0, 1.0)
    missing = tuple(p for p in some.profiles if p.name != "model.layers.1.q_proj")
    partly = replace(some, profiles=missing)
    assert whole_blocks(partly, MODULES) == ("model.layers.0", "model.layers.2", "model.layers.3")


def test_a_block_that_was_cut_where_nobody_adapts_it_counts_as_cut() -> None:
    assert whole_blocks(MODEL, ("q_proj",)) == ("model.layers.0", "model.layers.3")


def test_the_sentence_names_the_preset_and_the_blocks() -> None:
    said = sentence(expanded(PAPER, MODEL))
    assert NEWEST in said
    assert "ranks 2, 4, 6, 8, 10, 12" in said
    assert "rank 8 on blocks 0, 3" in said
    assert "all blocks are searched" in sentence(expanded(PAPER, model(24, 24)))
    odd = replace(PAPER, paper="later", search=Search(fixed={"model.layers.0": 8, "x": 3}))
    assert "rank 3 on blocks x" in sentence(odd)


def test_a_preset_never_changes() -> None:
    """Stored studies have its name: what it sets by now goes into a new one."""
    assert encode(PRESETS["paper-1"]) == {
        "granularity": "block",
        "strategy": "rankadaptor",
        "ranks": [2, 4, 6, 8, 10, 12],
        "whole": 8,
    }


def _profile(name: str, kept: float) -> LayerProfile:
    return LayerProfile(name, 0.0, kept, 1.0, 1.0, 0.1, 0.5)


def test_a_survey_it_would_not_listen_to_is_refused() -> None:
    """Its strategy is another one; a study file is told so before anything is expanded."""
    asked = replace(PAPER, search=Search(survey=Survey()))
    given = {"paper": True, "search": {"survey": {"steps": 40, "vectors": 8}}}
    for refused in (lambda: expanded(asked, MODEL), lambda: check_given(given)):
        with pytest.raises(InvalidInput, match="does not listen to a survey") as caught:
            refused()
        assert caught.value.field == "search.survey"
        assert "additive" in caught.value.hint
    check_given({"paper": True, "search": {"survey": None}})


def test_a_block_that_lacks_what_others_have_was_pruned() -> None:
    lacking = tuple(m for m in MODEL.matrices if m.name != "model.layers.0.q_proj")
    for described in (replace(MODEL, matrices=lacking), profiled(MODEL, 1.0, 0.5, 0.5, 1.0)):
        assert whole_blocks(replace(described, matrices=lacking), MODULES) == ("model.layers.3",)
