"""From a described model to its search space, and from a rank vector back to its matrices."""

import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import NoReturn

from rankspace.errors import BudgetTooSmall, InvalidInput, cut, nearest
from rankspace.pruned_model import Matrix, PrunedModel
from rankspace.rank_vector import RankVector
from rankspace.search_space import Layer, Part, SearchSpace
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
MAX_PATTERNS = 100
"""Of fixed layers, each of which is held against the name of every layer."""
MOST_PREFIXES = 8
"""Parts of a name that may be too many at its beginning."""


def search_space(model: PrunedModel, modules: Sequence[str], search: Search) -> SearchSpace:
    """Lay out ``model``'s matrices of the kinds ``modules`` as the layers of a search.

    The ceiling is what the largest uniform vector within the budget costs, so that the search and
    the baseline it is compared with may spend the same. Neither spends anything on more rank than
    a matrix has rows or columns.

    Raises:
        InvalidInput: In the words of the study's fields: a kind of matrix the model does not have,
            an unknown fixed layer, ranks out of order, a budget no uniform vector fits, more than
            can be planned.
    """
    matrices = _matrices(model, modules)
    layers = _layers(matrices, search.granularity)
    _check_size(len(layers), search)
    fixed = fixed_ranks(search.fixed, layers, {matrix.name for matrix in model.matrices})
    asked = {layer.name: fixed.get(layer.name, max(search.ranks, default=0)) for layer in layers}
    parts = _parts(matrices, layers, asked)
    fixed = {name: _usable(rank, parts.get(name, ())) for name, rank in fixed.items()}
    try:
        free = SearchSpace(layers, search.ranks, _no_ceiling(layers, search), fixed, parts)
    except InvalidInput as error:
        raise error.under("search") from None
    return replace(free, max_parameters=_ceiling(free, search.budget))


def per_matrix(space: SearchSpace, vector: RankVector) -> tuple[tuple[Layer, ...], RankVector]:
    """Say ``vector`` with its own layer and rank for each matrix of a layer with parts.

    Whoever adapts each matrix of a layer alike does then what ``vector`` means.
    """
    layers, ranks = list[Layer](), list[int]()
    for layer, rank in zip(space.layers, vector.ranks, strict=True):
        parts = () if layer.module else space.parts.get(layer.name, ())
        for part in parts:
            kind = part.name.rpartition(".")[2]
            layers.append(Layer(part.name, part.parameters_per_rank, layer.block, kind))
            ranks.append(min(rank, part.largest))
        if not parts:
            layers.append(layer)
            ranks.append(rank)
    return tuple(layers), RankVector(tuple(ranks))


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
            field, problem = f"recipe.modules[{index}]", "the model has no such matrix"
            raise InvalidInput(field, module, problem, fix=_kinds(module, known))
    return [matrix for matrix in model.matrices if matrix.module in wanted]


def _kinds(module: str, known: Collection[str]) -> str:
    """Which kinds of matrices there are, or the one that was probably meant."""
    if module == "all-linear":
        return "leave recipe.modules out: that is all linear matrices of the blocks"
    near = nearest(module, sorted(known))
    there = cut(f"use some of {sorted(known)}", MAX_SAID)
    return f"did you mean {near}? else {there}" if near else there


def _layers(matrices: Sequence[Matrix], granularity: Granularity) -> tuple[Layer, ...]:
    grouped = granularity is Granularity.BLOCK
    return _blocks(matrices) if grouped else tuple(map(_layer, matrices))


def _parts(
    matrices: Sequence[Matrix], layers: Sequence[Layer], asked: Mapping[str, int]
) -> dict[str, tuple[Part, ...]]:
    """The matrices of the layers in which one cannot use the rank that may be ``asked`` of it."""
    by_name = {matrix.name: matrix for matrix in matrices}
    owned = owned_names(layers, by_name)
    mine = {name: tuple(_part(by_name[one]) for one in names) for name, names in owned.items()}
    return {
        name: parts
        for name, parts in mine.items()
        if any(part.largest < asked[name] for part in parts)
    }


def _part(matrix: Matrix) -> Part:
    return Part(matrix.name, matrix.parameters_per_rank, min(matrix.d_in, matrix.d_out))


def _usable(rank: int, parts: Sequence[Part]) -> int:
    return min(rank, max((part.largest for part in parts), default=rank))


def _layer(matrix: Matrix) -> Layer:
    return Layer(matrix.name, matrix.parameters_per_rank, matrix.block, matrix.module)


def _blocks(matrices: Sequence[Matrix]) -> tuple[Layer, ...]:
    costs: dict[int, int] = {}
    names: dict[int, str] = {}
    for matrix in matrices:
        costs[matrix.block] = costs.get(matrix.block, 0) + matrix.parameters_per_rank
        names[matrix.block] = block_name(matrix)
    return tuple(Layer(names[block], cost, block) for block, cost in costs.items())


def block_name(matrix: Matrix) -> str:
    """``model.layers.3`` of a matrix in it."""
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


def fixed_ranks(
    fixed: Mapping[str, int], layers: Sequence[Layer], matrices: Collection[str]
) -> dict[str, int]:
    """Spell out whose ranks are fixed: of a layer by its name, or of all that a pattern matches.

    A layer's own name counts before any pattern; ``*`` matches dots as well.

    Args:
        fixed: As in the study.
        layers: Of the search.
        matrices: All full names in the model, those of kinds that are not searched included.

    Raises:
        InvalidInput: A name or pattern that matches no layer, two patterns that disagree on one,
            more patterns than can be looked through.
    """
    names = {layer.name: None for layer in layers}
    own = {name: rank for name, rank in fixed.items() if name in names}
    patterns = [name for name in fixed if name not in own]
    found: dict[str, str] = {}
    for number, pattern in enumerate(patterns):
        if number >= MAX_PATTERNS:
            fix = "match more layers with each, as model.layers.0.* does"
            raise InvalidInput("search.fixed", len(patterns), "are too many patterns", fix=fix)
        for name in _matching(pattern, names) or _nothing(pattern, names, matrices):
            before = found.setdefault(name, pattern)
            if fixed[before] != fixed[pattern] and name not in own:
                problem = f"gives {name} another rank than {cut(before)}, {fixed[before]}"
                fix = f"name {name} itself, which counts before patterns"
                raise InvalidInput(f"search.fixed.{cut(pattern)}", fixed[pattern], problem, fix=fix)
    return {name: fixed[pattern] for name, pattern in found.items()} | own


def _matching(pattern: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]


def _nothing(pattern: str, names: Collection[str], matrices: Collection[str]) -> NoReturn:
    field = f"search.fixed.{cut(pattern)}"
    owner = next((prefix for prefix in _prefixes(pattern) if prefix in names), None)
    if owner is not None:
        problem, fix = f"lies in {owner}, which has one rank", f"use {owner}"
    elif pattern in matrices:
        kind = pattern.rpartition(".")[2]
        problem, fix = "is not searched", f"leave it out, or add {kind} to recipe.modules"
    else:
        near = _meant(pattern, names)
        known = f"use some of {cut(str([*names][:4]), MAX_SAID)} …, or a pattern like *.down_proj"
        problem, fix = "no such layer", f"did you mean {near}?" if near else known
    raise InvalidInput(field, pattern, problem, fix=fix)


def _meant(pattern: str, names: Collection[str]) -> str | None:
    """What was probably meant: a whole block, a name with a prefix too many, or with one missing.

    Tools write ``base_model.model.`` before the names of a model, and leave its first part out.
    """
    beheaded = (pattern.split(".", parts)[-1] for parts in range(1, MOST_PREFIXES + 1))
    for guess in (f"{pattern}.*", *beheaded, f"*.{pattern}"):
        matched = _matching(guess, names)
        if matched:
            return guess if len(matched) > 1 else matched[0]
    return nearest(pattern, names)


def _ceiling(space: SearchSpace, budget: Budget) -> int:
    rank = budget.uniform_rank()
    if rank is not None and rank not in space.ranks:
        raise InvalidInput(
            BUDGET,
            budget.parameters,
            f"rank {rank} is not among the ranks {list(space.ranks)}",
            fix=f"add {rank} to search.ranks, or name one of them",
        )
    ranks = [rank for rank in space.ranks if rank > 0]
    if not ranks:
        raise InvalidInput(
            "search.ranks", list(space.ranks), "has no rank above 0", fix="use [0, 2, 4, 8]"
        )
    found = _highest_within(budget, ranks, space.cost_of_constant)
    if found is None:
        least = space.cost_of_constant(ranks[0])
        raise BudgetTooSmall(
            BUDGET,
            budget.parameters,
            f"uniform rank {ranks[0]}, the smallest there is to compare with, "
            f"needs {least:,} parameters",
            fix=f"allow at least {least}, or add a lower rank to search.ranks",
        )
    return space.cost_of_constant(found)


def _highest_within(budget: Budget, ranks: Sequence[int], cost: Callable[[int], int]) -> int | None:
    """The highest of ``ranks``, which rise above 0, that ``budget`` allows everywhere."""
    if isinstance(budget.parameters, int):
        affordable = bisect_right(ranks, budget.parameters, key=cost)
        return ranks[affordable - 1] if affordable else None
    rank = budget.uniform_rank()
    return rank if rank in ranks else None
