"""A history to time on: blocks of 8 kinds of matrix, unequal costs, noisy concave scores."""

from dataclasses import dataclass

import numpy as np

from perfmodel import random_vectors
from rankspace import Layer, Observation, SearchSpace

RANKS = (0, 2, 4, 6, 8, 10, 12, 16)
EXTRA = 64
"""Results beyond the history, to be learned one by one."""


@dataclass(frozen=True)
class History:
    """Finished trials.

    Attributes:
        space: Of the study.
        known: What is loaded.
        coming: What is learned one at a time.
    """

    space: SearchSpace
    known: tuple[Observation, ...]
    coming: tuple[Observation, ...]


def history(layers: int, trials: int) -> History:
    """Return ``trials`` distinct vectors on the budget, with scores, and ``EXTRA`` more."""
    costs = [4000 + 7 * at for at in range(layers)]
    space = SearchSpace(
        tuple(Layer(f"{at}", cost, at // 8, f"{at % 8}") for at, cost in enumerate(costs)),
        RANKS,
        8 * sum(costs),
    )
    rng = np.random.default_rng(0)
    vectors = random_vectors(space, trials + EXTRA, seed=1)
    scores = [np.sqrt(v.ranks).sum() + rng.standard_normal() for v in vectors]
    seen = [Observation(v, float(y)) for v, y in zip(vectors, scores, strict=True)]
    return History(space, tuple(seen[:trials]), tuple(seen[trials:]))
