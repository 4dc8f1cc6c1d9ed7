"""Levels: one number for each vector, out of scores on seeds of which not all vectors have all."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np

from perfmodel.arrays import Floats
from rankspace import RankVector

Scores: TypeAlias = Mapping[RankVector, Mapping[int, float]]
"""Of every vector, its score on each seed; higher is better."""

Levels: TypeAlias = Mapping[RankVector, float]
"""Of every vector, its mean score as if all had run on all seeds."""


def connected(scores: Scores) -> Scores:
    """Return the most vectors that seeds in common lead from one to another.

    Between others nothing tells a better vector from a kinder seed.
    """
    part = _parts(scores.values())
    parts: dict[int, dict[RankVector, Mapping[int, float]]] = {}
    for vector, found in scores.items():
        parts.setdefault(part[next(iter(found))], {})[vector] = found
    return max(parts.values(), key=len, default={})


def levels(scores: Scores) -> Levels:
    """Return the mean score of each vector, as if all had run on all seeds.

    A seed shifts the scores of all vectors, and verification measures its first seeds on other
    data than the later ones: plain means of different seeds would rank the seeds. So a shift for
    each seed is fitted beside the levels, by least squares.

    Args:
        scores: Of vectors that are ``connected``.
    """
    shifts = _shifts(scores)
    return {
        vector: sum(value - shifts[seed] for seed, value in found.items()) / len(found)
        for vector, found in scores.items()
    }


def _shifts(scores: Scores) -> Mapping[int, float]:
    """Of each seed; within a vector its level drops out, and one on a single seed says nothing."""
    seeds = sorted({seed for found in scores.values() for seed in found})
    place = {seed: at for at, seed in enumerate(seeds)}
    several = [found for found in scores.values() if len(found) > 1]
    if not several:
        return dict.fromkeys(seeds, 0.0)
    design = np.concatenate([_within(np.eye(len(seeds))[[place[s] for s in f]]) for f in several])
    values = np.concatenate([_within(np.array([*found.values()])) for found in several])
    # All shifts may be raised alike: the least ones are taken, and levels differ as they should.
    found, *_ = np.linalg.lstsq(design, values, rcond=None)
    return dict(zip(seeds, found.tolist(), strict=True))


def _within(values: Floats) -> Floats:
    """Without their mean over the first axis."""
    return np.asarray(values - values.mean(axis=0))


def _parts(groups: Iterable[Iterable[int]]) -> Mapping[int, int]:
    """The part of each seed, named by one of its seeds; seeds of one vector are of one part."""
    members: dict[int, set[int]] = {}
    for group in groups:
        joined = set(group).union(*(members[seed] for seed in group if seed in members))
        members.update(dict.fromkeys(joined, joined))
    return {seed: min(joined) for seed, joined in members.items()}
