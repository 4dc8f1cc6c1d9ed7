"""Vectors that need no search: within the budget, and what they are called."""

import pytest

from perfmodel.evidence.controls import control_vector, held
from rankspace import Context, Layer, LayerProfile, SearchSpace
from rankspace.study import Control

KINDS = ("q_proj", "o_proj", "down_proj")
LAYERS = tuple(
    Layer(f"{block}.{kind}", 10 + 5 * (kind == "down_proj"), block, f"self_attn.{kind}")
    for block in range(4)
    for kind in KINDS
)
SPACE = SearchSpace(LAYERS, (0, 1, 2, 4, 8), 2 * sum(one.parameters_per_rank for one in LAYERS))
NORMS = [0.1 * at for at in range(len(LAYERS))]
CONTEXT = Context(
    profiles=tuple(
        LayerProfile(layer.name, 0.0, 1.0, 1.0, 1.0, norm, 1.0, explained=(0.2, *(0.1,) * 7))
        for layer, norm in zip(LAYERS, NORMS, strict=True)
    )
)


@pytest.mark.parametrize("control", Control)
def test_every_control_spends_the_budget_and_no_more(control: Control) -> None:
    vector = control_vector(control, SPACE, CONTEXT)
    assert vector is not None
    SPACE.check(vector)
    left = SPACE.max_parameters - SPACE.parameters(vector)
    assert 0 <= left < 2 * max(SPACE.costs)


@pytest.mark.parametrize("control", [Control.O_PROJ, Control.DOWN_PROJ])
def test_one_kind_holds_most_and_more_than_of_uniform_ranks(control: Control) -> None:
    vector = control_vector(control, SPACE, Context())
    assert vector is not None
    share = held(control, SPACE, vector)
    assert share > 1.5 * held(control, SPACE, SPACE.uniform())
    assert share > 0.5


def test_a_kind_that_cannot_take_the_budget_holds_less_and_that_is_told() -> None:
    """Ranks to twice those of uniform: no kind of three takes more than two thirds."""
    space = SearchSpace(LAYERS, (0, 1, 2, 4), 3 * sum(one.parameters_per_rank for one in LAYERS))
    vector = control_vector(Control.O_PROJ, space, Context())
    assert vector is not None
    on = sum(4 * layer.parameters_per_rank for layer in LAYERS if layer.name.endswith("o_proj"))
    assert held(Control.O_PROJ, space, vector) == pytest.approx(on / space.parameters(vector))
    assert held(Control.O_PROJ, space, vector) < 0.5


def test_the_largest_gradient_takes_all_it_may_then_the_next() -> None:
    vector = control_vector(Control.LARGEST_GRADIENT, SPACE, CONTEXT)
    assert vector is not None
    assert vector.ranks[-2:] == (8, 8)
    assert vector.ranks[0] == 0


def explaining(*explained: tuple[float, ...]) -> Context:
    profiles = (
        LayerProfile(str(at), 0.0, 1.0, 1.0, 1.0, 0.1, 1.0, explained=shares)
        for at, shares in enumerate(explained)
    )
    return Context(profiles=tuple(profiles))


def eva(
    costs: tuple[int, ...], ranks: tuple[int, ...], budget: int, context: Context, **fixed: int
) -> tuple[int, ...]:
    layers = tuple(Layer(str(at), cost) for at, cost in enumerate(costs))
    ranked = {name.removeprefix("layer"): rank for name, rank in fixed.items()}
    vector = control_vector(Control.EVA, SearchSpace(layers, ranks, budget, ranked), context)
    assert vector is not None
    return vector.ranks


TWO = explaining((0.4, 0.3, 0.2, 0.1), (0.35, 0.15, 0.1, 0.05))


@pytest.mark.parametrize(
    ("budget", "ranks"), [(1, (1, 0)), (2, (1, 1)), (3, (2, 1)), (4, (3, 1)), (5, (3, 2))]
)
def test_eva_takes_components_in_the_order_of_what_they_explain(
    budget: int, ranks: tuple[int, ...]
) -> None:
    assert eva((1, 1), (0, 1, 2, 3, 4), budget, TWO) == ranks


def test_eva_takes_components_between_allowed_ranks_together() -> None:
    """0.15 in the mean for the second pair of the first matrix, 0.25 for the first of the other."""
    assert eva((1, 1), (0, 2, 4), 4, TWO) == (2, 2)
    lone = explaining((0.4, 0.3, 0.28, 0.27), (0.35, 0.15, 0.1, 0.05))
    assert eva((1, 1), (0, 2, 4), 4, lone) == (4, 0)


def test_eva_lets_the_lower_rank_and_then_the_first_layer_have_what_is_equal() -> None:
    same = explaining(*[(0.3, 0.3, 0.1)] * 3)
    assert eva((1, 1, 1), (0, 1, 2, 3), 4, same) == (2, 1, 1)
    even = explaining(*[(0.1,) * 4] * 2)  # the mean of three tenths is above a tenth
    assert eva((1, 1), (0, 1, 4), 8, even) == (4, 4)


def test_eva_goes_on_with_what_fits() -> None:
    """The second component of the first, dear matrix does not: nor does it get its third."""
    context = explaining((0.4, 0.3, 0.29), (0.2, 0.1, 0.05))
    assert eva((5, 2), (0, 1, 2, 3), 9, context) == (1, 2)
    lumps = explaining((0.4,) * 4 + (0.1,), (0.3,) * 5)  # the second matrix's fifth would fit
    assert eva((1, 1), (0, 4, 5), 5, lumps) == (5, 0)


def test_eva_pays_for_fixed_layers_first() -> None:
    assert eva((1, 1), (0, 1, 2, 3, 4), 5, TWO, layer0=3) == (3, 2)
    assert eva((1, 1), (1, 2, 3, 4), 3, TWO) == (2, 1)


def test_eva_needs_to_know_each_component_it_may_take() -> None:
    layers = (Layer("0", 1), Layer("1", 1))
    short = explaining((0.4, 0.3, 0.2, 0.1), (0.35, 0.15, 0.1))
    assert control_vector(Control.EVA, SearchSpace(layers, (0, 1, 4), 4), short) is None
    assert control_vector(Control.EVA, SearchSpace(layers, (0, 1, 3), 4), short) is not None
    fixed = SearchSpace(layers, (0, 1, 4), 4, {"1": 2})
    assert control_vector(Control.EVA, fixed, short) is not None


def test_what_cannot_be_made_is_none() -> None:
    blocks = SearchSpace((Layer("0", 10), Layer("1", 10)), (0, 1, 2), 20)
    assert control_vector(Control.O_PROJ, blocks, CONTEXT) is None
    assert control_vector(Control.LARGEST_GRADIENT, SPACE, Context()) is None
    assert control_vector(Control.EVA, SPACE, Context()) is None
