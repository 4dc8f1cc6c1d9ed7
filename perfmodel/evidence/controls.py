"""Controls: vectors that anybody writes down without a search, at the parameters of uniform ranks.

A searched vector that does not beat them is not worth its search.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from perfmodel.allocation.knapsack import Allocator
from perfmodel.strategies.proportional import proportional
from rankspace import Context, RankVector, SearchSpace
from rankspace.study import Control


def control_vector(control: Control, space: SearchSpace, context: Context) -> RankVector | None:
    """Return the vector of ``control``; None where the layers, or what is known of them, lack it.

    Every one spends the budget as far as the ranks allow.
    """
    return _MAKERS[control](control, space, context)


def _one_kind(control: Control, space: SearchSpace, _: Context) -> RankVector | None:
    """The same rank on all matrices of one kind, rounded to the budget exactly.

    What they cannot take is spread evenly over the other layers: ``held`` says how much they took.
    """
    chosen = [_is_of(layer.module, control) for layer in space.layers]
    if not any(chosen[at] for at in space.free_layers):
        return None
    return proportional(space, np.array(chosen, dtype=np.float64), Allocator(space))


def held(control: Control, space: SearchSpace, vector: RankVector) -> float:
    """Share of the parameters that lies on the matrices that the control is called after.

    The allowed ranks bound what one kind can take: with few of them much of the budget, or most of
    it, goes to the rest. 1 for a control that is no kind of matrix.
    """
    if control is Control.LARGEST_GRADIENT:
        return 1.0
    mine = (
        space.price(at, rank)
        for at, (layer, rank) in enumerate(zip(space.layers, vector.ranks, strict=True))
        if _is_of(layer.module, control)
    )
    return sum(mine) / max(space.parameters(vector), 1)


def _is_of(module: str | None, control: Control) -> bool:
    return module is not None and module.rpartition(".")[2] == control.value


def _largest_gradient(_: Control, space: SearchSpace, context: Context) -> RankVector | None:
    """All that one matrix may take, the one whose gradient is largest beside its weights.

    What it cannot take goes to the one after it, and so on.
    """
    if len(context.profiles) < len(space.layers):
        return None
    ranks = list(space.cheapest().ranks)
    left = space.max_parameters - space.parameters(space.cheapest())
    order = sorted(space.free_layers, key=lambda at: -context.profiles[at].gradient_norm)
    for layer in order:
        paid = space.price(layer, ranks[layer])
        fitting = [r for r in space.choices(layer) if space.price(layer, r) - paid <= left]
        left -= space.price(layer, max(fitting)) - paid
        ranks[layer] = max(fitting)
    return RankVector(tuple(ranks))


_MAKERS: Mapping[Control, Callable[[Control, SearchSpace, Context], RankVector | None]]
_MAKERS = MappingProxyType(
    {
        Control.O_PROJ: _one_kind,
        Control.DOWN_PROJ: _one_kind,
        Control.LARGEST_GRADIENT: _largest_gradient,
    }
)
