import numpy as np
import pytest

from perfmodel.prior import COMMON, SHARES, Prior
from rankspace import Layer, SearchSpace


def shares(space: SearchSpace) -> list[tuple[float, ...]]:
    """Shares of kind, block and own, without the scale."""
    found = Prior.of(space).shares
    return sorted(tuple(row[1:] * COMMON / row[0]) for row in found)


def test_the_shares_are_those_written_down() -> None:
    layers = tuple(Layer(f"{b}.{m}", 5, b, m) for b in range(3) for m in "qvo")
    found = shares(SearchSpace(layers, (0, 1, 2), 90))
    assert np.array(found) == pytest.approx(np.array(sorted(SHARES)))


def test_shares_a_space_cannot_tell_apart_count_once() -> None:
    space = SearchSpace(tuple(Layer(f"{i}", 5) for i in range(4)), (0, 1, 2), 40)
    assert shares(space) == [(0.0, 0.0, 1.0)]
