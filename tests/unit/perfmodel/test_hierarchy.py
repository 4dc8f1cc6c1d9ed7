import numpy as np

from perfmodel.hierarchy import Hierarchy, Level
from rankspace import Layer, SearchSpace

GRID = tuple(Layer(f"{b}.{m}", 3, b, m) for b in range(2) for m in ("q", "v", "o"))


def test_layers_are_grouped_by_kind_and_by_block() -> None:
    hierarchy = Hierarchy.of(SearchSpace(GRID, (0, 1), 18))
    assert hierarchy.groups[Level.KIND].tolist() == [0, 1, 2, 0, 1, 2]
    assert hierarchy.groups[Level.BLOCK].tolist() == [0, 0, 0, 1, 1, 1]
    assert hierarchy.sizes == (1, 3, 2, 6)


def test_fixed_layers_are_in_no_group() -> None:
    hierarchy = Hierarchy.of(SearchSpace(GRID, (0, 1), 18, {"0.v": 1}))
    assert [groups[1] for groups in hierarchy.groups] == [-1, -1, -1, -1]
    assert hierarchy.sizes == (1, 3, 2, 5)


def test_without_block_and_kind_those_levels_are_empty() -> None:
    layers = tuple(Layer(f"{i}", 3) for i in range(4))
    assert Hierarchy.of(SearchSpace(layers, (0, 1), 12)).sizes == (1, 0, 0, 4)


def test_whole_blocks_are_not_counted_as_block_and_as_layer() -> None:
    layers = tuple(Layer(f"{i}", 3, block=i) for i in range(4))
    assert Hierarchy.of(SearchSpace(layers, (0, 1), 12)).sizes == (1, 0, 0, 4)


def test_gather_sums_and_spread_copies() -> None:
    hierarchy = Hierarchy.of(SearchSpace(GRID, (0, 1), 18))
    features = np.arange(6.0).reshape(1, 6, 1)
    assert hierarchy.gather(Level.KIND, features)[0, :, 0].tolist() == [3.0, 5.0, 7.0]
    assert hierarchy.spread(Level.BLOCK, np.array([[1.0], [2.0]]))[:, 0].tolist() == [
        1,
        1,
        1,
        2,
        2,
        2,
    ]
