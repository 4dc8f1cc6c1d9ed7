"""From a described model to its search space, and from a rank vector back to its matrices."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rankspace.errors import BudgetTooSmall, InvalidInput
from rankspace.pruned_model import Matrix, PrunedModel
from rankspace.rank_vector import RankVector
from rankspace.search_space import Layer, SearchSpace
from rankspace.study import Budget, Granularity, Search

BUDGET = "search.budget.parameters"


def search_space(model: PrunedModel, modules: Sequence[str], search: Search) -> SearchSpace:
    """Lay out ``model``'s matrices of the kinds ``modules`` as the layers of a search.

    The ceiling is what the largest uniform vector within the budget costs, so that the search and
    the baseline it is compared with may spend the same.

    Raises:
        InvalidInput: In the words of the study's fields: a kind of matrix the model does not have,
            an unknown fixed layer, ranks out of order, a budget no uniform vector fits.
    """
    matrices = _matrices(model, modules)
    grouped = search.granularity is Granularity.BLOCK
    layers = _blocks(matrices) if grouped else tuple(map(_layer, matrices))
    _check_fixed(layers, search.fixed)
    try:
        free = SearchSpace(layers, search.ranks, _no_ceiling(layers, search), search.fixed)
    except InvalidInput as error:
        raise error.under("search") from None
    return replace(free, max_parameters=_ceiling(free, search.budget))


def module_ranks(
    layers: Sequence[Layer], vector: RankVector, modules: Iterable[str]
) -> dict[str, int]:
    """Give each full module name in ``modules`` its rank; a block's matrices share one.

    Raises:
        InvalidInput: A layer that owns no module.
    """
    names = list(modules)
    ranks: dict[str, int] = {}
    for layer, rank in zip(layers, vector.ranks, strict=True):
        owned = [n for n in names if n == layer.name or n.startswith(f"{layer.name}.")]
        if not owned:
            raise InvalidInput(
                "layers", layer.name, "matches no module of the model", fix="describe it anew"
            )
        ranks.update(dict.fromkeys(owned, rank))
    return ranks


def _matrices(model: PrunedModel, modules: Sequence[str]) -> list[Matrix]:
    known = {matrix.module for matrix in model.matrices}
    for index, module in enumerate(modules):
        if module not in known:
            raise InvalidInput(
                f"recipe.modules[{index}]",
                module,
                "the model has no such matrix",
                fix=f"use some of {sorted(known)}",
            )
    return [matrix for matrix in model.matrices if matrix.module in modules]


def _layer(matrix: Matrix) -> Layer:
    return Layer(matrix.name, matrix.parameters_per_rank, matrix.block, matrix.module)


def _blocks(matrices: Sequence[Matrix]) -> tuple[Layer, ...]:
    costs: dict[int, int] = {}
    names: dict[int, str] = {}
    for matrix in matrices:
        costs[matrix.block] = costs.get(matrix.block, 0) + matrix.parameters_per_rank
        names[matrix.block] = _block_name(matrix)
    return tuple(Layer(names[block], cost, block) for block, cost in costs.items())


def _block_name(matrix: Matrix) -> str:
    head, index, _ = matrix.name.partition(f".{matrix.block}.")
    return f"{head}{index[:-1]}"


def _no_ceiling(layers: Sequence[Layer], search: Search) -> int:
    largest = max((*search.ranks, *search.fixed.values()), default=0)
    return largest * sum(layer.parameters_per_rank for layer in layers)


def _check_fixed(layers: Sequence[Layer], fixed: Mapping[str, int]) -> None:
    names = [layer.name for layer in layers]
    for name in fixed:
        if name not in names:
            (near,) = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
            raise InvalidInput(
                f"search.fixed.{name}", name, "no such layer", fix=f"did you mean {near}?"
            )


def _ceiling(space: SearchSpace, budget: Budget) -> int:
    rank = budget.uniform_rank()
    if rank is not None and rank not in space.ranks:
        raise InvalidInput(
            BUDGET,
            budget.parameters,
            f"rank {rank} is not among the ranks {list(space.ranks)}",
            fix=f"add {rank} to search.ranks, or name one of them",
        )
    costs = {rank: space.parameters(space.constant(rank)) for rank in space.ranks if rank > 0}
    if not costs:
        raise InvalidInput(
            "search.ranks", list(space.ranks), "has no rank above 0", fix="use [0, 2, 4, 8]"
        )
    allowed = [cost for r, cost in costs.items() if _is_within(budget, r, cost)]
    if not allowed:
        lowest = min(costs)
        raise BudgetTooSmall(
            BUDGET,
            budget.parameters,
            f"uniform rank {lowest}, the smallest there is to compare with, "
            f"needs {costs[lowest]:,} parameters",
            fix=f"allow at least {costs[lowest]}, or add a lower rank to search.ranks",
        )
    return max(allowed)


def _is_within(budget: Budget, rank: int, cost: int) -> bool:
    if isinstance(budget.parameters, int):
        return cost <= budget.parameters
    return rank == budget.uniform_rank()
