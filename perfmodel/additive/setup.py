"""Setup: what follows from the search space and the plan alone, before any score."""

from dataclasses import dataclass

from perfmodel.additive.basis import Basis
from perfmodel.additive.belief import Belief
from perfmodel.additive.design import design, design_size, is_taught
from perfmodel.allocation.knapsack import Allocator
from perfmodel.allocation.lattice import Lattice
from rankspace import RankVector, SearchSpace
from rankspace.cached import cached_property


@dataclass(frozen=True)
class Setup:
    """Computed once per study when first needed, and carried from state to state.

    Attributes:
        space: What may be proposed.
        seed: Root of all randomness.
        trials: Search trials submitted.
        belief: What the meta-learned prior said, or None.
    """

    space: SearchSpace
    seed: int
    trials: int
    belief: Belief | None = None

    @cached_property
    def allocator(self) -> Allocator:
        return Allocator(self.space)

    @cached_property
    def lattice(self) -> Lattice:
        return Lattice.of(self.space)

    @cached_property
    def basis(self) -> Basis:
        return Basis.of(self.space, self.belief)

    @cached_property
    def uniform(self) -> RankVector:
        return self.space.uniform()

    @cached_property
    def design_count(self) -> int:
        """Trials of the design, or more than it has in a tiny space: known before it is found."""
        layers, taught = len(self.space.layers), is_taught(self.basis)
        return design_size(self.trials, layers, is_taught=taught)

    @cached_property
    def design(self) -> tuple[RankVector, ...]:
        """The first trials, uniform first."""
        return design(self.space, self.basis, self.allocator, self.design_count, self.seed)
