"""Evolution of a population of rates: one loop, whoever makes its moves."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypeAlias

from pruning.search.draws import draw
from pruning.search.evaluation import Evaluation, Proposals
from pruning.search.space import RateSpace, Vector

Population: TypeAlias = Sequence[Evaluation]
"""Best first; never empty."""

SIZE = 8
"""Vectors kept. Self-Pruner states none; small, as evaluations are few and dear."""
ROUND = 2
"""Members in a tournament."""
MUTATED = 2
"""Rates that a mutation changes on the average, beside the one that it changes for certain."""
WIDTH = 0.25
"""Deviation of such a change, of how far rates may be from the ratio."""


class Moves(Protocol):
    """The four moves of an evolutionary search; none has to keep the mean."""

    def newcomer(self, population: Population) -> Vector:
        """Make a vector to begin with."""
        ...

    def parents(self, population: Population) -> tuple[Evaluation, Evaluation]:
        """Choose two members."""
        ...

    def cross(self, one: Evaluation, other: Evaluation) -> Vector:
        """Make a child of two members."""
        ...

    def mutate(self, child: Vector, population: Population) -> Vector:
        """Change a child."""
        ...


def evolve(uniform: Evaluation, moves: Moves) -> Proposals:
    """Fill a population that begins with equal rates; then each child replaces its worst.

    A child that leaves the same of every block as a member is no other vector, and is let go.
    """
    population = [uniform]
    while len(population) < SIZE:
        born = yield moves.newcomer(population)
        # Also if it was there already: a model that always says the same would never get on.
        population = _ordered([*population, born])
    while True:
        child = moves.cross(*moves.parents(population))
        born = yield moves.mutate(child, population)
        if all(born.rates != member.rates for member in population):
            population = _ordered([*population, born])[:SIZE]


def _ordered(members: Population) -> list[Evaluation]:
    return sorted(members, key=lambda member: member.loss)


@dataclass(slots=True)
class GeneticMoves:
    """Tournaments, crossing gene by gene, mutation of a few genes by a normal.

    Attributes:
        space: Of the vectors.
        rng: Every chance there is.
    """

    space: RateSpace
    rng: Random

    def newcomer(self, population: Population) -> Vector:
        return draw(self.space, self.rng)

    def parents(self, population: Population) -> tuple[Evaluation, Evaluation]:
        return self._winner(population), self._winner(population)

    def cross(self, one: Evaluation, other: Evaluation) -> Vector:
        pairs = zip(one.vector, other.vector, strict=True)
        return tuple(a if self.rng.random() < 0.5 else b for a, b in pairs)

    def mutate(self, child: Vector, population: Population) -> Vector:
        chance, width = MUTATED / len(child), WIDTH * self.space.reach
        certain = self.rng.randrange(len(child))
        return tuple(
            rate + self.rng.gauss(0.0, width)
            if i == certain or self.rng.random() < chance
            else rate
            for i, rate in enumerate(child)
        )

    def _winner(self, population: Population) -> Evaluation:
        drawn = [self.rng.randrange(len(population)) for _ in range(ROUND)]
        return population[min(drawn)]


@dataclass(frozen=True, slots=True)
class Genetic:
    """A plain genetic algorithm.

    Attributes:
        seed: Of its chances.
    """

    seed: int

    def __call__(self, space: RateSpace, uniform: Evaluation, evaluations: int) -> Proposals:
        return evolve(uniform, GeneticMoves(space, Random(self.seed)))
