"""SearchSpace: the layers, the ranks allowed on each, and the parameter ceiling."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from rankspace.errors import BudgetTooSmall, InvalidInput
from rankspace.rank_vector import RankVector


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
class SearchSpace:
    """All rank vectors a study may try.

    Attributes:
        layers: In the order of the model; rank vectors follow this order.
        ranks: Allowed ranks, strictly increasing, for every layer that is not fixed.
        max_parameters: Ceiling on trainable parameters, fixed layers included.
        fixed: Layer name to its one rank, which need not be among ``ranks``.

    Raises:
        InvalidInput: Duplicate names, ranks not increasing, unknown fixed layers.
        BudgetTooSmall: Even the cheapest vector exceeds ``max_parameters``.
    """

    layers: tuple[Layer, ...]
    ranks: tuple[int, ...]
    max_parameters: int
    fixed: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_layers()
        self._check_ranks()
        self._check_fixed()
        cheapest = self.parameters(self.cheapest())
        if cheapest > self.max_parameters:
            raise BudgetTooSmall(
                "max_parameters",
                self.max_parameters,
                f"the cheapest vector already needs {cheapest:,} parameters",
                fix=f"allow at least {cheapest}, or add rank 0 to the ranks",
            )

    def _check_layers(self) -> None:
        names = [layer.name for layer in self.layers]
        if not names:
            raise InvalidInput("layers", [], "there is no layer", fix="give at least one layer")
        twice = sorted(name for name, times in Counter(names).items() if times > 1)
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

    @property
    def costs(self) -> tuple[int, ...]:
        """Parameters per rank, one per layer."""
        return tuple(layer.parameters_per_rank for layer in self.layers)

    @property
    def free_layers(self) -> list[int]:
        """Indices of the layers that may take more than one rank; a list, for numpy to index by."""
        if len(self.ranks) == 1:
            return []
        return [i for i, layer in enumerate(self.layers) if layer.name not in self.fixed]

    def choices(self, index: int) -> tuple[int, ...]:
        """The ranks layer ``index`` may take: all of them, or its one fixed rank."""
        name = self.layers[index].name
        return (self.fixed[name],) if name in self.fixed else self.ranks

    def constant(self, rank: int) -> RankVector:
        """The vector with ``rank`` on every layer that is not fixed."""
        return RankVector(tuple(self.fixed.get(layer.name, rank) for layer in self.layers))

    def cheapest(self) -> RankVector:
        return self.constant(self.ranks[0])

    def uniform(self) -> RankVector:
        """The largest same-rank-everywhere vector within the budget: ordinary LoRA's choice."""
        fitting = [rank for rank in self.ranks if self.affords(self.constant(rank))]
        return self.constant(max(fitting))

    def parameters(self, vector: RankVector) -> int:
        return vector.parameters(self.costs)

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
            raise InvalidInput(
                f"rank_vector[{index}]",
                rank,
                f"not allowed on {self.layers[index].name}",
                fix=f"use one of {list(self.choices(index))}",
            )
