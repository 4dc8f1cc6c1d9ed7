"""Orders: how far two rankings agree. As scipy.stats has it, whose import takes 40 MiB."""

import numpy as np

from perfmodel.arrays import Floats, Integers


def ranks(values: Floats) -> Floats:
    """Ranks from 1, ``(n,)``; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - 0.5 * (counts - 1))[place])


def spearman(left: Floats, right: Floats) -> float:
    """Spearman's correlation of two ``(n,)``, neither of them constant."""
    return float(np.corrcoef(ranks(left), ranks(right))[0, 1])


def kendall(left: Floats, right: Floats) -> float:
    """Kendall's tau-b of two ``(n,)``, neither of them constant, in O(n log² n)."""
    _, first = np.unique(left, return_inverse=True)
    _, second = np.unique(right, return_inverse=True)
    count = len(first)
    pairs = count * (count - 1) / 2.0
    tied_first, tied_second = pairs - _tied(first), pairs - _tied(second)
    tied_both = _tied(first * count + second)
    swapped = _inversions(second[np.lexsort((second, first))])
    agreeing = tied_first + tied_second - pairs + tied_both - 2.0 * swapped
    return float(agreeing / np.sqrt(tied_first) / np.sqrt(tied_second))


def _tied(places: Integers) -> float:
    """Pairs of equal entries."""
    counts = np.unique(places, return_counts=True)[1]
    return float((counts * (counts - 1)).sum() / 2.0)


def _inversions(places: Integers) -> float:
    """Pairs whose earlier entry is the greater one, ``(n,)`` integers from 0.

    Two entries differ first in one bit, from above: among those that agree before it, count for
    each that has no such bit the earlier ones that have it.
    """
    total = 0
    for bit in range(int(places.max()).bit_length()):
        above = places >> (bit + 1)
        order = np.argsort(above, kind="stable")
        has_bit = (places[order] >> bit) & 1
        before = np.cumsum(has_bit) - has_bit
        starts = np.searchsorted(above[order], above[order])
        total += int(((before - before[starts]) * (1 - has_bit)).sum())
    return float(total)
