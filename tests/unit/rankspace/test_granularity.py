from dataclasses import replace

import pytest

from rankspace import Matrix, PrunedModel, RankVector, SearchSpace
from rankspace.errors import InvalidInput
from rankspace.granularity import (
    MAX_PATTERNS,
    module_ranks,
    owned_names,
    per_matrix,
    search_space,
)
from rankspace.study import Budget, Granularity, Search


def matrix(block: int, part: str, d_in: int, d_out: int) -> Matrix:
    name = f"model.layers.{block}.{part}"
    return Matrix(name, block, part.rpartition(".")[2], d_in, d_out)


MODEL = PrunedModel(
    path="/m",
    fingerprint="f",
    architecture="LlamaForCausalLM",
    parameters=1,
    matrices=tuple(
        matrix(block, part, 4, width)
        for block, width in ((0, 6), (1, 2), (11, 6))
        for part in ("self_attn.q_proj", "mlp.up_proj")
    ),
)


def test_one_layer_per_matrix_by_default() -> None:
    search = Search(ranks=(0, 1, 2), budget=Budget("uniform:2"))
    space = search_space(MODEL, ["q_proj"], search)
    assert [layer.name for layer in space.layers] == [
        f"model.layers.{block}.self_attn.q_proj" for block in (0, 1, 11)
    ]
    assert space.max_parameters == 2 * (10 + 6 + 10)


def test_one_layer_per_block_costs_the_sum_of_its_matrices() -> None:
    search = Search(
        ranks=(1, 2),
        granularity=Granularity.BLOCK,
        budget=Budget("uniform:1"),
        fixed={"model.layers.1": 5},
    )
    space = search_space(MODEL, ["q_proj", "up_proj"], search)
    assert [layer.name for layer in space.layers] == [f"model.layers.{b}" for b in (0, 1, 11)]
    assert space.costs == (20, 12, 20)
    assert space.max_parameters == 20 + 2 * 12 + 20  # its matrices have two rows


def test_a_block_s_matrices_share_its_rank_and_block_1_is_not_block_11() -> None:
    search = Search(ranks=(0, 1, 2), granularity=Granularity.BLOCK, budget=Budget("uniform:2"))
    space = search_space(MODEL, ["q_proj", "up_proj"], search)
    names = [m.name for m in MODEL.matrices]
    ranks = module_ranks(space.layers, RankVector((0, 1, 2)), names)
    assert list(ranks.values()) == [0, 0, 1, 1, 2, 2]
    assert list(ranks) == names


def test_a_layer_without_a_module_is_refused() -> None:
    space = search_space(MODEL, ["q_proj"], Search(ranks=(0, 1), budget=Budget("uniform:1")))
    with pytest.raises(InvalidInput, match="matches no module"):
        module_ranks(space.layers, space.uniform(), ["model.layers.7.self_attn.q_proj"])


def test_an_unknown_kind_of_matrix_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"recipe.modules\[1\] = 'w_proj'"):
        search_space(MODEL, ["q_proj", "w_proj"], Search())


def test_a_budget_rank_must_be_allowed() -> None:
    with pytest.raises(InvalidInput, match="rank 3 is not among the ranks"):
        search_space(MODEL, ["q_proj"], Search(ranks=(0, 2), budget=Budget("uniform:3")))


@pytest.mark.parametrize(("parameters", "ceiling"), [(26, 26), (51, 26), (52, 52), (10**9, 52)])
def test_a_number_is_lowered_to_the_largest_uniform_vector_within_it(
    parameters: int, ceiling: int
) -> None:
    space = search_space(MODEL, ["q_proj"], Search(ranks=(0, 1, 2), budget=Budget(parameters)))
    assert space.max_parameters == ceiling == space.parameters(space.uniform())


@pytest.mark.parametrize(
    ("search", "detail"),
    [
        (Search(ranks=(0, 1), budget=Budget(25)), "search.budget.parameters = 25: uniform rank 1"),
        (
            Search(ranks=(0, 1), budget=Budget("uniform:0")),
            "search.budget.parameters = 'uniform:0'",
        ),
        (Search(ranks=(0,), budget=Budget(99)), "search.ranks = [0]: has no rank above 0"),
        (Search(ranks=(2, 1)), "search.ranks = [2, 1]"),
        (Search(fixed={"model.layers.1": 2}), "search.fixed.model.layers.1"),
    ],
)
def test_what_cannot_be_compared_with_uniform_is_refused(search: Search, detail: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        search_space(MODEL, ["q_proj"], search)
    assert caught.value.detail.startswith(detail)
    assert caught.value.hint


def big(matrices: int) -> PrunedModel:
    named = (matrix(at // 7, f"x{at}.q_proj", 4, 4) for at in range(matrices))
    return PrunedModel("/m", "f", "LlamaForCausalLM", 1, tuple(named))


@pytest.mark.parametrize(
    ("matrices", "ranks", "trials", "field"),
    [
        (8_193, 2, 1, "search.granularity"),
        (8_192, 17, 1, "search.ranks"),
        (2_000, 65, 913, "search.budget.trials"),
    ],
)
def test_what_would_take_for_ever_to_plan_is_refused_with_what_would_not(
    matrices: int, ranks: int, trials: int, field: str
) -> None:
    search = Search(ranks=tuple(range(ranks)), budget=Budget("uniform:1", trials))
    with pytest.raises(InvalidInput) as caught:
        search_space(big(matrices), ["q_proj"], search)
    assert caught.value.field == field
    assert "per block" in caught.value.hint


def test_a_large_search_is_welcome() -> None:
    search = Search(ranks=(0, 2, 4, 6, 8, 10, 12, 16), budget=Budget("uniform:8", 100_000))
    assert len(search_space(big(224), ["q_proj"], search).layers) == 224


def test_owned_names_of_many_layers_are_found_without_comparing_them_all() -> None:
    layers = search_space(big(8_000), ["q_proj"], Search()).layers
    owned = owned_names(layers, [layer.name for layer in layers] + ["elsewhere", ""])
    assert owned == {layer.name: [layer.name] for layer in layers}


def pruned(granularity: Granularity, ranks: tuple[int, ...], budget: str) -> SearchSpace:
    """Of two blocks, of which pruning left the second attention 8 rows and the MLP 20."""
    matrices = (
        matrix(0, "self_attn.q_proj", 64, 64),
        matrix(0, "mlp.up_proj", 64, 160),
        matrix(1, "self_attn.q_proj", 64, 8),
        matrix(1, "mlp.up_proj", 64, 20),
    )
    model = replace(MODEL, matrices=matrices)
    search = Search(ranks=ranks, granularity=granularity, budget=Budget(budget))
    return search_space(model, ["q_proj", "up_proj"], search)


def test_nothing_is_spent_on_rank_that_a_matrix_cannot_use() -> None:
    space = pruned(Granularity.MODULE, (0, 8, 16, 32, 64), "uniform:64")
    assert space.uniform() == RankVector((64, 64, 8, 20))
    assert space.max_parameters == 64 * 128 + 64 * 224 + 8 * 72 + 20 * 84
    assert [*space.parts] == ["model.layers.1.self_attn.q_proj", "model.layers.1.mlp.up_proj"]


def test_a_block_s_rank_buys_nothing_for_its_matrices_that_are_full() -> None:
    space = pruned(Granularity.BLOCK, (0, 8, 16, 32, 64), "uniform:64")
    assert space.uniform() == RankVector((64, 20))
    assert space.max_parameters == 64 * 128 + 64 * 224 + 8 * 72 + 20 * 84
    layers, vector = per_matrix(space, RankVector((32, 16)))
    assert [layer.name for layer in layers] == [
        "model.layers.0",
        "model.layers.1.self_attn.q_proj",
        "model.layers.1.mlp.up_proj",
    ]
    assert vector == RankVector((32, 8, 16))
    assert vector.parameters([one.parameters_per_rank for one in layers]) == space.parameters(
        RankVector((32, 16))
    )


def test_a_space_in_which_every_rank_is_of_use_has_no_parts() -> None:
    for granularity in Granularity:
        space = pruned(granularity, (0, 4, 8), "uniform:8")
        assert space.parts == {}
        assert per_matrix(space, space.uniform()) == (space.layers, space.uniform())


def fixed(entries: dict[str, int], granularity: Granularity = Granularity.MODULE) -> SearchSpace:
    search = Search(ranks=(0, 1, 2), fixed=entries, budget=Budget("uniform:1"))
    return search_space(MODEL, ["q_proj", "up_proj"], replace(search, granularity=granularity))


@pytest.mark.parametrize(
    ("entries", "ranks"),
    [
        ({"model.layers.0.*": 0}, (0, 0, 1, 1, 1, 1)),
        ({"*.q_proj": 2}, (2, 1, 2, 1, 2, 1)),
        ({"model.layers.[01].*": 0, "*up_proj": 0}, (0, 0, 0, 0, 1, 0)),
        ({"*.q_proj": 0, "model.layers.1.self_attn.q_proj": 2}, (0, 1, 2, 1, 0, 1)),
        ({"model.layers.1.*": 7}, (1, 1, 2, 2, 1, 1)),
    ],
)
def test_patterns_fix_what_they_match_and_a_full_name_counts_first(
    entries: dict[str, int], ranks: tuple[int, ...]
) -> None:
    assert fixed(entries).uniform() == RankVector(ranks)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("model.layers.1", "did you mean model.layers.1.*?"),
        ("base_model.model.model.layers.0.mlp.up_proj", "did you mean model.layers.0.mlp.up_proj?"),
        ("base_model.model.model.layers.0.*", "did you mean model.layers.0.*?"),
        ("layers.0.mlp.up_proj", "did you mean model.layers.0.mlp.up_proj?"),
        ("up_proj", "did you mean *.up_proj?"),
        ("model.layers.0.mlp.upproj", "did you mean model.layers.0.mlp.up_proj?"),
        ("model.layers.0.mlp.up_proj.weight", "use model.layers.0.mlp.up_proj"),
        ("lm_head", "use some of ["),
    ],
)
def test_what_matches_no_layer_is_told_what_does(name: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        fixed({name: 0})
    assert caught.value.field == f"search.fixed.{name}"
    assert caught.value.hint.startswith(hint)


def test_a_matrix_inside_a_block_has_the_block_s_rank() -> None:
    for name in ("model.layers.0.mlp.up_proj", "model.layers.0.*"):
        with pytest.raises(InvalidInput) as caught:
            fixed({name: 0}, Granularity.BLOCK)
        assert caught.value.hint == "use model.layers.0"


def test_a_matrix_that_is_not_searched_is_said_to_be_none() -> None:
    with pytest.raises(InvalidInput, match="is not searched") as caught:
        search_space(MODEL, ["q_proj"], Search(fixed={"model.layers.0.mlp.up_proj": 0}))
    assert "add up_proj to recipe.modules" in caught.value.hint


def test_patterns_that_disagree_are_refused_unless_the_layer_itself_is_named() -> None:
    both = {"model.layers.0.*": 0, "*.q_proj": 2}
    with pytest.raises(InvalidInput, match=r"gives \S+q_proj another rank"):
        fixed(both)
    assert fixed({**both, "model.layers.0.self_attn.q_proj": 1}).uniform().ranks[0] == 1


def test_more_patterns_than_can_be_looked_through_are_refused() -> None:
    many = {f"{'*' * (at + 1)}": 0 for at in range(MAX_PATTERNS + 1)}
    with pytest.raises(InvalidInput, match="are too many patterns"):
        fixed(many)


@pytest.mark.parametrize(
    ("module", "hint"),
    [
        ("q_porj", "did you mean q_proj? else use some of ['q_proj', 'up_proj']"),
        ("all-linear", "leave recipe.modules out: that is all linear matrices of the blocks"),
        ("lm_head", "use some of ['q_proj', 'up_proj']"),
    ],
)
def test_an_unknown_kind_is_told_what_was_meant(module: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        search_space(MODEL, [module], Search())
    assert caught.value.hint == hint
