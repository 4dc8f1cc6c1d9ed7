"""What a prior believes, in a few numbers a person can read."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats
from perfmodel.meta.features import FEATURES, KINDS
from perfmodel.meta.prior import MetaPrior, Provenance

DEPTHS = (0.0, 0.5, 1.0)
"""Depths shown: first, middle and last block."""


@dataclass(frozen=True)
class Summary:
    """All that ``rankadaptor meta show`` prints.

    Attributes:
        version: Of the prior.
        spread: Standard deviation of true around predicted log worth, on what was held out.
        noise: Expected noise ratio of an average study.
        provenance: What it learned from.
        gains: Share of the explained sum of squares by feature, largest first.
        kinds: Expected worth of each kind of matrix as a factor of the average one's, at each of
            ``DEPTHS``; everything else at its median.
        effects: By feature of a layer, the values at its 10 %, 50 % and 90 % quantile.
        factors: By the same, what worth is multiplied by there, compared with the median.
    """

    version: str
    spread: float
    noise: float
    provenance: Provenance
    gains: Mapping[str, float]
    kinds: Mapping[str, tuple[float, ...]]
    effects: Mapping[str, tuple[float, ...]]
    factors: Mapping[str, tuple[float, ...]]


def summary_of(prior: MetaPrior) -> Summary:
    """Ask the prior about layers that are average in all but one thing."""
    return Summary(
        version=prior.version,
        spread=prior.spread,
        noise=float(np.exp(prior.noise.mean)),
        provenance=prior.provenance,
        gains=prior.worth.gains(FEATURES),
        kinds=_kinds(prior),
        effects=prior.ranges,
        factors={name: _factors(prior, name) for name in prior.ranges},
    )


def _kinds(prior: MetaPrior) -> dict[str, tuple[float, ...]]:
    said = np.array([prior.worth.predict(_average(prior, depth=depth)) for depth in DEPTHS])
    factors = np.exp(said - said.mean()).T
    return {kind: tuple(row.tolist()) for kind, row in zip(KINDS, factors, strict=True)}


def _factors(prior: MetaPrior, name: str) -> tuple[float, ...]:
    """Mean over the kinds of matrices."""
    values = prior.ranges[name]
    said = [prior.worth.predict(_average(prior, **{name: value})).mean() for value in values]
    return tuple(np.exp(np.array(said) - said[len(said) // 2]).tolist())


def _average(prior: MetaPrior, **changes: float) -> Floats:
    """One row per kind, every feature at its median but for ``changes``."""
    rows = np.zeros((len(KINDS), len(FEATURES)))
    rows[:, : len(KINDS)] = np.eye(len(KINDS))
    medians = {name: values[len(values) // 2] for name, values in prior.ranges.items()}
    for name, value in {**medians, **changes}.items():
        rows[:, FEATURES.index(name)] = value
    return rows
