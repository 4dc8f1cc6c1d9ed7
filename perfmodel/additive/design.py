"""The first trials: vectors chosen so that few of them tell the layers apart."""

import numpy as np

from perfmodel.additive.basis import Basis
from perfmodel.allocation.knapsack import Allocator
from rankspace import RankVector, SearchSpace

CONTRAST = 2.0
"""Standard deviation of the pretended utilities' logarithm: large, so that a contrast gives most
layers nearly all or nearly nothing."""

SHARE, TAUGHT_SHARE = 0.2, 0.1
"""Part of the trials that goes to the design: without a prior, and with one, which knows already
some of what the contrasts would tell (`python -m bench.meta`)."""


def design_size(trials: int, layers: int, *, is_taught: bool = False) -> int:
    """How many of ``trials`` go to the design, uniform included, at least 3."""
    share = TAUGHT_SHARE if is_taught else SHARE
    return int(np.clip(share * trials, 3, 2 + 2 * layers))


def design(
    space: SearchSpace, basis: Basis, allocator: Allocator, count: int, seed: int
) -> tuple[RankVector, ...]:
    """Return ``count`` vectors, or fewer in a tiny space: uniform, then contrasts.

    A contrast is the exact optimum of utilities that somebody might have: what the meta-learned
    prior expects, if anything, times a random factor on each layer. Contrasts come in pairs, the
    second with every factor inverted, so that a layer rich in one is poor in the other. With a
    prior, its own optimum comes right after uniform.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2**32 - 1]))
    expected = basis.expected()
    found = {space.uniform(): None}
    if is_taught(basis):
        found[allocator.best(expected)] = None
    for _ in range(4 * count):
        factors = CONTRAST * rng.standard_normal((len(space.layers), 1))
        for sign in (1.0, -1.0):
            found[allocator.best(np.exp(sign * factors) * expected)] = None
        if len(found) >= count:
            break
    return tuple(found)[:count]


def is_taught(basis: Basis) -> bool:
    """Whether a prior expects layers to differ."""
    return bool(basis.log_worth.any())
