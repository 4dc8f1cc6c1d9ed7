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
        LayerProfile(layer.name, 0.0, 1.0, 1.0, 1.0, norm, 1.0)
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


def test_what_cannot_be_made_is_none() -> None:
    blocks = SearchSpace((Layer("0", 10), Layer("1", 10)), (0, 1, 2), 20)
    assert control_vector(Control.O_PROJ, blocks, CONTEXT) is None
    assert control_vector(Control.LARGEST_GRADIENT, SPACE, Context()) is None
