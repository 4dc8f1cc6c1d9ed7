"""Random rates: a search by itself, and where a genetic one begins."""

from dataclasses import dataclass
from random import Random

from pruning.search.evaluation import Evaluation, Proposals
from pruning.search.space import RateSpace, Vector


def draw(space: RateSpace, rng: Random) -> Vector:
    """Draw each rate evenly from as far below the ratio as above it, within 0 to 1."""
    return tuple(space.ratio + space.reach * rng.uniform(-1.0, 1.0) for _ in space.blocks)


@dataclass(frozen=True, slots=True)
class Draws:
    """Draws that know nothing of each other.

    Attributes:
        seed: Of the draws.
    """

    seed: int

    def __call__(self, space: RateSpace, uniform: Evaluation, evaluations: int) -> Proposals:
        rng = Random(self.seed)
        while True:
            yield draw(space, rng)
