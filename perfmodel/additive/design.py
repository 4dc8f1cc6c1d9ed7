"""The first trials: vectors chosen so that few of them tell the layers apart."""

import numpy as np

from perfmodel.additive.basis import Basis
from perfmodel.allocation.knapsack import Allocator
from perfmodel.arrays import Floats
from rankspace import RankVector, SearchSpace

CONTRAST = 2.0
"""Standard deviation of the pretended utilities' logarithm: large, so that a contrast gives most
layers nearly all or nearly nothing."""

MINOR = 0.3
"""Share of a contrast that a block, and a layer by itself, has beside its kind of matrix: the kinds
differ most, and with fewer contrasts than layers only what layers share can be told apart."""

ROUGH = 0.01
"""What a contrast may lose against the optimum, as ``Allocator.best`` counts it."""

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

    A contrast is the optimum of utilities that somebody might have: what the meta-learned prior
    expects, if anything, times a random factor on each kind of matrix, and lesser ones on each
    block and layer. Contrasts come in pairs, the second with every factor inverted, so that a kind
    rich in one is poor in the other. With a prior, its own optimum comes right after uniform.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 2**32 - 1]))
    expected = basis.expected()
    found = {space.uniform(): None}
    if is_taught(basis):
        found[allocator.best(expected)] = None
    for _ in range(4 * count):
        factors = _factors(basis, rng)
        for sign in (1.0, -1.0):
            pretended = np.exp(sign * factors) * expected
            found[allocator.best(pretended, tolerance=ROUGH)] = None
        if len(found) >= count:
            break
    return tuple(found)[:count]


def _factors(basis: Basis, rng: np.random.Generator) -> Floats:
    """Logarithms of the pretended factors, of deviation ``CONTRAST``, ``(layers, 1)``."""
    free = basis.hierarchy.free
    drawn = [rng.standard_normal(int(axis.max()) + 1)[axis] for axis in basis.hierarchy.axes]
    parts = [*drawn, rng.standard_normal(len(free))]
    shares = np.array([1.0, *[MINOR] * (len(parts) - 1)])
    factors = np.zeros((basis.layers, 1))
    factors[free, 0] = CONTRAST * (shares @ np.stack(parts)) / np.linalg.norm(shares)
    return factors


def is_taught(basis: Basis) -> bool:
    """Whether a prior expects layers to differ."""
    return bool(basis.log_worth.any())
