"""Controls: vectors that anybody writes down without a search, at the parameters of uniform ranks.

A searched vector that does not beat them is not worth its search.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
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
    if control in (Control.LARGEST_GRADIENT, Control.EVA):
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


@dataclass(frozen=True, slots=True)
class _Raise:
    """From one rank a layer may take to the next one.

    Attributes:
        layer: Index.
        below: The rank before.
        rank: The rank after.
        explained: Share of the input's variance along the components it adds, their mean; never
            above that of the raise before, which rounding could put behind it.
    """

    layer: int
    below: int
    rank: int
    explained: float


def _eva(_: Control, space: SearchSpace, context: Context) -> RankVector | None:
    """Rank where the inputs' principal components explain most, as EVA distributes it.

    EVA (Paischer et al. 2024, arXiv 2410.07170) takes components in the order of their explained
    variance, of whichever matrix, until a number of ranks is spent, and of no matrix more than
    ``rho`` times the mean. Here they are taken until the parameters are spent, and the highest
    allowed rank stands for ``rho``. Where ranks are left out the components between come together,
    by their mean. Of equal ones, as of matrices that are fed the same, the lower rank comes first,
    then the first of the model. What does not fit is left out, with all that follows of its layer,
    and the order gone on with. Components that explain nothing come last and are bought all the
    same where the budget is not spent: every control spends it. Fixed layers are paid for and left
    as they are.
    """
    if not is_explained(space, context):
        return None
    ranks = list(space.cheapest().ranks)
    left = space.max_parameters - space.parameters(space.cheapest())
    order = sorted(_raises(space, context), key=lambda one: (-one.explained, one.rank, one.layer))
    for one in order:
        price = space.price(one.layer, one.rank) - space.price(one.layer, one.below)
        if ranks[one.layer] == one.below and price <= left:
            ranks[one.layer] = one.rank
            left -= price
    return RankVector(tuple(ranks))


def is_explained(space: SearchSpace, context: Context) -> bool:
    """Whether the explained variance is known up to each layer's highest rank."""
    return len(context.profiles) == len(space.layers) and all(
        len(context.profiles[at].explained) >= space.choices(at)[-1] for at in space.free_layers
    )


def _raises(space: SearchSpace, context: Context) -> Iterator[_Raise]:
    for at in space.free_layers:
        explained, worth = context.profiles[at].explained, 1.0
        for below, rank in pairwise(space.choices(at)):
            worth = min(worth, sum(explained[below:rank]) / (rank - below))
            yield _Raise(at, below, rank, worth)


_MAKERS: Mapping[Control, Callable[[Control, SearchSpace, Context], RankVector | None]]
_MAKERS = MappingProxyType(
    {
        Control.O_PROJ: _one_kind,
        Control.DOWN_PROJ: _one_kind,
        Control.LARGEST_GRADIENT: _largest_gradient,
        Control.EVA: _eva,
    }
)
