"""Levels: one number for each vector, out of scores on seeds of which not all vectors have all."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from perfmodel.arrays import Floats, Integers
from rankspace import RankVector

Scores: TypeAlias = Mapping[RankVector, Mapping[int, float]]
"""Of every vector, its score on each seed; higher is better."""

ROUNDS = 50
"""What one seed says of a level settles in a few."""


def levels(scores: Scores) -> dict[RankVector, float]:
    """Return the mean score of each vector, as if all had run on all seeds.

    A seed shifts the scores of all vectors, and verification measures its first seeds on other
    data than the later ones: plain means of different seeds would rank the seeds. So a shift for
    each seed is fitted beside the levels, by least squares.
    """
    vectors, seeds = [*scores], [*{seed for found in scores.values() for seed in found}]
    place = {seed: at for at, seed in enumerate(seeds)}
    entries = [(i, place[s], v) for i, one in enumerate(vectors) for s, v in scores[one].items()]
    row, column, value = (np.array(part) for part in zip(*entries, strict=True))
    shifts, level = np.zeros(len(seeds)), np.zeros(len(vectors))
    for _ in range(ROUNDS if len(seeds) > 1 else 1):
        level = _means(row, value - shifts[column], len(vectors))
        shifts = _means(column, value - level[row], len(seeds))
    return dict(zip(vectors, level.tolist(), strict=True))


def _means(group: Integers, values: Floats, count: int) -> Floats:
    """Of the values of each group, none of which is empty."""
    sums, counts = np.bincount(group, values, count), np.bincount(group, minlength=count)
    return np.asarray(sums / counts)
