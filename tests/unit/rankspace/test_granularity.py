import pytest

from rankspace import Matrix, PrunedModel, RankVector
from rankspace.errors import InvalidInput
from rankspace.granularity import module_ranks, owned_names, search_space
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
    assert space.max_parameters == 20 + 5 * 12 + 20


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
