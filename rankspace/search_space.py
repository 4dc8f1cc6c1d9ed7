"""SearchSpace: the layers, the ranks allowed on each, and the parameter ceiling."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from rankspace.cached import cached_property
from rankspace.errors import BudgetTooSmall, InvalidInput
from rankspace.rank_vector import RankVector
from rankspace.wire import LATER


@dataclass(frozen=True, slots=True)
class Layer:
    """Whatever gets one rank: a weight matrix, or a whole block as in the RankAdaptor paper.

    Attributes:
        name: Full module name (``model.layers.0.mlp.down_proj``) or a block's (``model.layers.0``).
        parameters_per_rank: Trainable parameters one rank costs: ``d_in + d_out``, summed over
            the layer's matrices.
        block: Index of the decoder block, if known; lets the model share along the depth.
        module: Kind of matrix (``down_proj``), if the layer is one matrix.
    """

    name: str
    parameters_per_rank: int
    block: int | None = None
    module: str | None = None

    def __post_init__(self) -> None:
        if self.parameters_per_rank < 1:
            raise InvalidInput(
                "parameters_per_rank",
                self.parameters_per_rank,
                f"layer {self.name!r} must cost at least 1 parameter per rank",
                fix="give d_in + d_out of the layer's matrices",
            )


@dataclass(frozen=True, slots=True)
class Part:
    """A weight matrix of a layer that is given more rank than the matrix can use.

    Attributes:
        name: Full module name.
        parameters_per_rank: ``d_in + d_out``.
        largest: ``min(d_in, d_out)``: the product of two thin matrices has no higher rank.
    """

    name: str
    parameters_per_rank: int
    largest: int

    def __post_init__(self) -> None:
        if self.largest < 1:
            problem, fix = f"{self.name!r} has no rows or no columns", "describe the model anew"
            raise InvalidInput("largest", self.largest, problem, fix=fix)


@dataclass(frozen=True)
class SearchSpace:
    """All rank vectors a study may try.

    A layer with ``parts`` takes at most the rank that the largest of them can use, and there its
    highest allowed ranks are one; each part takes at most its own, so a block's rank buys nothing
    for the matrices of it that are full.

    Attributes:
        layers: In the order of the model; rank vectors follow this order.
        ranks: Allowed ranks, strictly increasing, for every layer that is not fixed.
        max_parameters: Ceiling on trainable parameters, fixed layers included.
        fixed: Layer name to its one rank, which need not be among ``ranks``.
        parts: Layer name to all its matrices, of layers in which one cannot use every rank.

    Raises:
        InvalidInput: Duplicate names, ranks not increasing, unknown layers that are fixed or have
            parts.
        BudgetTooSmall: Even the cheapest vector exceeds ``max_parameters``.
    """

    layers: tuple[Layer, ...]
    ranks: tuple[int, ...]
    max_parameters: int
    fixed: Mapping[str, int] = field(default_factory=dict)
    parts: Mapping[str, tuple[Part, ...]] = field(default_factory=dict, metadata=LATER)

    def __post_init__(self) -> None:
        self._check_layers()
        self._check_ranks()
        self._check_fixed()
        self._check_parts()
        cheapest = self.parameters(self.cheapest())
        if cheapest > self.max_parameters:
            raise BudgetTooSmall(
                "max_parameters",
                self.max_parameters,
                f"the cheapest vector already needs {cheapest:,} parameters",
                fix=f"allow at least {cheapest}, or add rank 0 to the ranks",
            )

    def _check_layers(self) -> None:
        names = Counter(layer.name for layer in self.layers)
        if not names:
            raise InvalidInput("layers", [], "there is no layer", fix="give at least one layer")
        twice = sorted(name for name, times in names.items() if times > 1)
        if twice:
            raise InvalidInput("layers", twice, "named twice", fix="give each layer its own name")

    def _check_ranks(self) -> None:
        rising = all(a < b for a, b in zip(self.ranks, self.ranks[1:], strict=False))
        if not self.ranks or not rising or self.ranks[0] < 0:
            raise InvalidInput(
                "ranks",
                list(self.ranks),
                "ranks must be non-negative and strictly increasing",
                fix="write them like [0, 2, 4, 8]",
            )

    def _check_fixed(self) -> None:
        known = {layer.name for layer in self.layers}
        for name, rank in self.fixed.items():
            if name not in known:
                raise InvalidInput(
                    "fixed", name, "no such layer", fix=f"use one of {sorted(known)[:4]} …"
                )
            if rank < 0:
                raise InvalidInput(
                    f"fixed.{name}", rank, "a rank is negative", fix="use 0 for no adapter"
                )

    def _check_parts(self) -> None:
        costs = {layer.name: layer.parameters_per_rank for layer in self.layers}
        for name, parts in self.parts.items():
            total = sum(part.parameters_per_rank for part in parts)
            if costs.get(name) != total:
                problem = f"its matrices cost {total:,} per rank, the layer {costs.get(name)}"
                raise InvalidInput("parts", name, problem, fix="describe the model anew")

    @cached_property
    def costs(self) -> tuple[int, ...]:
        """Parameters per rank, one per layer, while all its matrices can use it."""
        return tuple(layer.parameters_per_rank for layer in self.layers)

    @cached_property
    def table(self) -> tuple[tuple[int, ...], ...]:
        """The rank of each layer where ``ranks[column]`` is asked for, ``layers x ranks``.

        A fixed layer's is the same in each column, and so is the highest one of a layer that
        cannot use more.
        """
        return tuple(tuple(self._given(layer, r) for r in self.ranks) for layer in self.layers)

    @cached_property
    def _largest(self) -> Mapping[str, int]:
        return {name: max(part.largest for part in parts) for name, parts in self.parts.items()}

    def _given(self, layer: Layer, rank: int) -> int:
        """What a layer has where all are asked to have ``rank``."""
        return self.fixed.get(layer.name, min(rank, self._largest.get(layer.name, rank)))

    @cached_property
    def options(self) -> tuple[tuple[int, ...], ...]:
        """The ranks each layer may take, rising: all of them, fewer, or its one fixed rank."""
        return tuple(tuple(dict.fromkeys(row)) for row in self.table)

    @cached_property
    def prices(self) -> tuple[tuple[int, ...], ...]:
        """Trainable parameters of each layer at each of its ``options``."""
        return tuple(
            tuple(self.price(index, rank) for rank in ranks)
            for index, ranks in enumerate(self.options)
        )

    @cached_property
    def least_step(self) -> int:
        """Parameters of the cheapest step of any layer from one of its options to the next."""
        steps = (b - a for prices in self.prices for a, b in pairwise(prices))
        return min(steps, default=0)

    @property
    def free_layers(self) -> list[int]:
        """Indices of the layers that may take more than one rank; a list, for numpy to index by."""
        return [i for i, ranks in enumerate(self.options) if len(ranks) > 1]

    def choices(self, index: int) -> tuple[int, ...]:
        """The ranks layer ``index`` may take, rising."""
        return self.options[index]

    def constant(self, rank: int) -> RankVector:
        """The vector with ``rank`` on every layer that is not fixed and can use so much."""
        return RankVector(tuple(self._given(layer, rank) for layer in self.layers))

    def cheapest(self) -> RankVector:
        return self.constant(self.ranks[0])

    def uniform(self) -> RankVector:
        """The largest same-rank-everywhere vector within the budget: ordinary LoRA's choice.

        A layer that cannot use the rank has all that it can use.
        """
        affordable = bisect_right(self.ranks, self.max_parameters, key=self.cost_of_constant)
        return self.constant(self.ranks[affordable - 1])

    def cost_of_constant(self, rank: int) -> int:
        """Trainable parameters of ``constant(rank)``; they rise with the rank."""
        return self.parameters(self.constant(rank))

    def price(self, index: int, rank: int) -> int:
        """Trainable parameters of layer ``index`` at ``rank``."""
        layer = self.layers[index]
        return rank * layer.parameters_per_rank - self._unused(layer.name, rank)

    def parameters(self, vector: RankVector) -> int:
        total = vector.parameters(self.costs)
        if not self.parts:
            return total
        return total - sum(
            self._unused(layer.name, rank)
            for layer, rank in zip(self.layers, vector.ranks, strict=True)
        )

    def _unused(self, name: str, rank: int) -> int:
        """What ``rank`` everywhere in the layer would cost beyond what its matrices can use."""
        return sum(
            part.parameters_per_rank * max(rank - part.largest, 0)
            for part in self.parts.get(name, ())
        )

    def affords(self, vector: RankVector) -> bool:
        return self.parameters(vector) <= self.max_parameters

    def check(self, vector: RankVector) -> None:
        """Raise InvalidInput unless ``vector`` has allowed ranks and fits the budget."""
        if len(vector) != len(self.layers):
            raise InvalidInput(
                "rank_vector",
                list(vector.ranks),
                f"has {len(vector)} ranks for {len(self.layers)} layers",
                fix=f"give {len(self.layers)} ranks, in the order of the study's layers",
            )
        for index, rank in enumerate(vector.ranks):
            self._check_rank(index, rank)
        if not self.affords(vector):
            raise InvalidInput(
                "rank_vector",
                list(vector.ranks),
                f"needs {self.parameters(vector):,} parameters of {self.max_parameters:,}",
                fix="lower some ranks",
            )

    def _check_rank(self, index: int, rank: int) -> None:
        if rank not in self.choices(index):
            name, choices = self.layers[index].name, self.choices(index)
            full = f", which can use no more than {choices[-1]}"
            is_full = name not in self.fixed and rank > self._largest.get(name, rank)
            raise InvalidInput(
                f"rank_vector[{index}]",
                rank,
                f"not allowed on {name}{full if is_full else ''}",
                fix=f"use one of {list(choices)}",
            )
