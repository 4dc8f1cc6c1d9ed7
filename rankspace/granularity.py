"""From a described model to its search space, and from a rank vector back to its matrices."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from rankspace.errors import BudgetTooSmall, InvalidInput, cut, nearest
from rankspace.pruned_model import Matrix, PrunedModel
from rankspace.rank_vector import RankVector
from rankspace.search_space import Layer, SearchSpace
from rankspace.study import Budget, Granularity, Search

BUDGET = "search.budget.parameters"

MAX_LAYERS = 8_192
MAX_CHOICES = 2**17
"""Layers times ranks: what one proposal looks through, in some tenths of a second."""
MAX_LEARNED = 25_000_000
"""Layers times trials: what a search keeps in all, such as 100,000 trials of 224 layers."""
COLUMNS = 3
"""Of a layer in the regression of the performance model."""
MAX_REFIT = 5e9
"""What one refit of it is proportional to, columns times the square of columns or trials,
whichever is less: about half a minute on one core, and some hundred megabytes."""
MAX_SAID = 400
"""Characters of names that an error lists."""


def search_space(model: PrunedModel, modules: Sequence[str], search: Search) -> SearchSpace:
    """Lay out ``model``'s matrices of the kinds ``modules`` as the layers of a search.

    The ceiling is what the largest uniform vector within the budget costs, so that the search and
    the baseline it is compared with may spend the same.

    Raises:
        InvalidInput: In the words of the study's fields: a kind of matrix the model does not have,
            an unknown fixed layer, ranks out of order, a budget no uniform vector fits, more than
            can be planned.
    """
    matrices = _matrices(model, modules)
    grouped = search.granularity is Granularity.BLOCK
    layers = _blocks(matrices) if grouped else tuple(map(_layer, matrices))
    _check_size(len(layers), search)
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
    owned = owned_names(layers, modules)
    ranks: dict[str, int] = {}
    for layer, rank in zip(layers, vector.ranks, strict=True):
        if not owned[layer.name]:
            raise InvalidInput(
                "layers", layer.name, "matches no module of the model", fix="describe it anew"
            )
        ranks.update(dict.fromkeys(owned[layer.name], rank))
    return ranks


def owned_names(layers: Sequence[Layer], names: Iterable[str]) -> dict[str, list[str]]:
    """Sort full module names under the layers they lie in, the layer's own name included."""
    owned: dict[str, list[str]] = {layer.name: [] for layer in layers}
    for name in names:
        for prefix in _prefixes(name):
            if prefix in owned:
                owned[prefix].append(name)
    return owned


def _prefixes(name: str) -> Iterator[str]:
    """``a.b.c``, ``a.b``, ``a``."""
    while name:
        yield name
        name = name.rpartition(".")[0]


def _matrices(model: PrunedModel, modules: Sequence[str]) -> list[Matrix]:
    wanted, known = set(modules), {matrix.module for matrix in model.matrices}
    for index, module in enumerate(modules):
        if module not in known:
            raise InvalidInput(
                f"recipe.modules[{index}]",
                module,
                "the model has no such matrix",
                fix=cut(f"use some of {sorted(known)}", MAX_SAID),
            )
    return [matrix for matrix in model.matrices if matrix.module in wanted]


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


def _check_size(layers: int, search: Search) -> None:
    ranks, trials = len(search.ranks), search.budget.trials
    if layers > MAX_LAYERS:
        problem, fix = f"are more than {MAX_LAYERS:,} layers", "search one rank per block"
        raise InvalidInput("search.granularity", layers, problem, fix=fix)
    if layers * ranks > MAX_CHOICES:
        problem = f"are too many on {layers:,} layers"
        fix = f"use {MAX_CHOICES // layers:,} or fewer, or one rank per block"
        raise InvalidInput("search.ranks", ranks, problem, fix=fix)
    most = most_trials(layers)
    if trials > most:
        problem = f"are more than can be planned on {layers:,} layers"
        fix = f"use {most:,} or fewer, or one rank per block"
        raise InvalidInput("search.budget.trials", trials, problem, fix=fix)


def most_trials(layers: int) -> int:
    """How many trials a search over so many layers may have."""
    columns = COLUMNS * layers
    refit = MAX_REFIT if columns**3 > MAX_REFIT else math.inf
    return int(min(MAX_LEARNED / layers, math.sqrt(refit / columns)))


def _check_fixed(layers: Sequence[Layer], fixed: Mapping[str, int]) -> None:
    names = {layer.name: None for layer in layers}
    for name in fixed:
        if name not in names:
            near = nearest(name, names)
            known = f"use one of {cut(str(list(names)[:4]), MAX_SAID)} …"
            fix = f"did you mean {near}?" if near else known
            raise InvalidInput(f"search.fixed.{cut(name)}", name, "no such layer", fix=fix)


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
