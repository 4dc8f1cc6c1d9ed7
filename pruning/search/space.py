"""RateSpace: the vectors of rates that a search may score."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pruning.container.structure import ATTENTION, MLP, BlockStructure, Structure
from pruning.methods.selection import left_of
from pruning.rates.rates import Rates, Sizes, sizes_of, within
from rankspace.cached import cached_property

Vector: TypeAlias = Sequence[float]
"""One number per block to prune, in the order of the blocks; not yet of any mean."""

Counts: TypeAlias = tuple[tuple[int, int], ...]
"""Key/value heads and channels that are left of each block."""

HALVINGS = 60
"""Of an interval of length 4 at most: down to the last bit of a float."""

ROUNDING = 1e-12
"""Of a share of the weights."""

STEPS = 40
"""On the way from a vector to equal rates."""


@dataclass(frozen=True)
class RateSpace:
    """Rates from 0 to 1 whose mean by size is ``ratio``, of blocks that lose whole structures.

    Whole heads are rounded to, four in a block of a small model. Left alone, a search finds the
    rates just below where a head would go, and wins by removing less than was asked for. So a
    vector is fair only if it really removes the ratio, or what equal rates do where that is less,
    but for half a head of one block. Equal rates may remove more, as all blocks round alike.

    Attributes:
        structure: Of the model before.
        hidden: Width of its residual stream.
        blocks: Those to prune, rising.
        ratio: Share to remove of all of them together.
    """

    structure: Structure
    hidden: int
    blocks: tuple[int, ...]
    ratio: float

    @cached_property
    def sizes(self) -> Sizes:
        return sizes_of(self.structure, self.hidden, self.blocks)

    @cached_property
    def uniform(self) -> Rates:
        """Equal rates."""
        return dict.fromkeys(self.blocks, self.ratio)

    @cached_property
    def least(self) -> float:
        """Share of the weights that a fair vector removes at least."""
        half_a_head = max(part.head for part in self._parts) / 2 / sum(self.sizes.values())
        return min(self.ratio, self.removed(self.uniform)) - half_a_head - ROUNDING

    @property
    def reach(self) -> float:
        """How far a rate may be from the ratio on both sides."""
        return min(self.ratio, 1.0 - self.ratio)

    def project(self, vector: Vector) -> Rates:
        """Move all of ``vector`` by one number, and what leaves 0 to 1 back, to the exact mean.

        What is farther outside than by 1 is taken for that far.
        """
        near = [min(max(value, -1.0), 2.0) for value in vector]
        # All rates are 1 at the upper end, and 0 at the lower.
        low, high = -max(near), 1.0 - min(near)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if self._mean(_moved(near, middle)) < self.ratio:
                low = middle
            else:
                high = middle
        return dict(zip(self.blocks, _moved(near, high), strict=True))

    def settle(self, vector: Vector) -> Rates:
        """Return the fair rates nearest to ``vector`` on the way to equal ones."""
        rates = self.project(vector)
        for step in range(STEPS):
            part = 1.0 - step / STEPS
            nearer = {i: self.ratio + part * (rate - self.ratio) for i, rate in rates.items()}
            if self.is_fair(nearer):
                return within(nearer)
        return self.uniform

    def is_fair(self, rates: Rates) -> bool:
        """Tell whether ``rates`` really remove as much as they have to."""
        return self.removed(rates) >= self.least

    def removed(self, rates: Rates) -> float:
        """Return the share of the blocks' weights that whole heads and channels make of it."""
        lost = sum(
            (part.kv_heads - heads) * part.head + (part.ffn - channels) * part.channel
            for part, (heads, channels) in zip(self._parts, self.counts(rates), strict=True)
        )
        return lost / sum(self.sizes.values())

    def counts(self, rates: Rates) -> Counts:
        """Return what is left of each block: of two vectors that leave the same, one is scored."""
        pairs = zip(self._parts, rates.values(), strict=True)
        return tuple((left_of(p.kv_heads, rate), left_of(p.ffn, rate)) for p, rate in pairs)

    @cached_property
    def _parts(self) -> tuple["_Parts", ...]:
        return tuple(_parts(self.structure.blocks[index], self.hidden) for index in self.blocks)

    def _mean(self, vector: Vector) -> float:
        sizes = self.sizes.values()
        pairs = zip(vector, sizes, strict=True)
        return sum(rate * size for rate, size in pairs) / sum(sizes)


@dataclass(frozen=True, slots=True)
class _Parts:
    """Of one block: how many it has of what is removed whole, and what each weighs.

    Attributes:
        kv_heads: Key/value heads.
        ffn: Channels.
        head: Weights of a key/value head with its query heads.
        channel: Weights of a channel.
    """

    kv_heads: int
    ffn: int
    head: int
    channel: int


def _parts(block: BlockStructure, hidden: int) -> _Parts:
    shapes = {kind: math.prod(block.shape(kind, hidden)) for kind in block.modules}
    attention, mlp = (sum(shapes[kind] for kind in kinds) for kinds in (ATTENTION, MLP))
    return _Parts(block.kv_heads, block.ffn, attention // block.kv_heads, mlp // block.ffn)


def _moved(vector: Vector, by: float) -> list[float]:
    return [min(max(value + by, 0.0), 1.0) for value in vector]
