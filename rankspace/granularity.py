"""From a described model to its search space, and from a rank vector back to its matrices."""

from collections.abc import Iterable, Sequence

from rankspace.errors import InvalidInput
from rankspace.pruned_model import Matrix, PrunedModel
from rankspace.rank_vector import RankVector
from rankspace.search_space import Layer, SearchSpace
from rankspace.study import Budget, Granularity, Search


def search_space(model: PrunedModel, modules: Sequence[str], search: Search) -> SearchSpace:
    """Lay out ``model``'s matrices of the kinds ``modules`` as the layers of a search.

    Raises:
        InvalidInput: A kind of matrix the model does not have, a budget rank that is not allowed.
    """
    matrices = _matrices(model, modules)
    grouped = search.granularity is Granularity.BLOCK
    layers = _blocks(matrices) if grouped else tuple(map(_layer, matrices))
    free = SearchSpace(layers, search.ranks, _no_ceiling(layers, search), search.fixed)
    return SearchSpace(layers, search.ranks, _ceiling(free, search.budget), search.fixed)


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


def _ceiling(space: SearchSpace, budget: Budget) -> int:
    rank = budget.uniform_rank()
    if rank is None:
        assert isinstance(budget.parameters, int)
        return budget.parameters
    if rank not in space.ranks:
        raise InvalidInput(
            "search.budget.parameters",
            budget.parameters,
            f"rank {rank} is not among the ranks {list(space.ranks)}",
            fix=f"add {rank} to search.ranks, or name one of them",
        )
    return space.parameters(space.constant(rank))
