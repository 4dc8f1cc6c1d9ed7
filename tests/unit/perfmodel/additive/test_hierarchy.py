from perfmodel.additive.hierarchy import Hierarchy
from rankspace import Layer, SearchSpace

GRID = tuple(Layer(f"{b}.{m}", 3, b, m) for b in range(2) for m in ("q", "v", "o"))


def axes(layers: tuple[Layer, ...], fixed: dict[str, int] | None = None) -> list[list[int]]:
    hierarchy = Hierarchy.of(SearchSpace(layers, (0, 1), 100, fixed or {}))
    return [axis.tolist() for axis in hierarchy.axes]


def test_layers_are_grouped_by_kind_and_by_block() -> None:
    assert axes(GRID) == [[0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 1]]


def test_fixed_layers_are_in_no_group() -> None:
    hierarchy = Hierarchy.of(SearchSpace(GRID, (0, 1), 18, {"0.v": 1}))
    assert hierarchy.free.tolist() == [0, 2, 3, 4, 5]
    assert [axis.tolist() for axis in hierarchy.axes] == [[0, 1, 0, 2, 1], [0, 0, 1, 1, 1]]


def test_an_axis_that_pools_nothing_is_left_out() -> None:
    assert axes(tuple(Layer(f"{i}", 3) for i in range(4))) == []
    assert axes(tuple(Layer(f"{i}", 3, block=i) for i in range(4))) == []
    assert axes(tuple(Layer(f"{i}", 3, block=0, module="q") for i in range(4))) == []


def test_axes_that_say_the_same_count_once() -> None:
    layers = tuple(Layer(f"{i}", 3, block=i % 2, module=f"kind {i % 2}") for i in range(6))
    assert axes(layers) == [[0, 1, 0, 1, 0, 1]]
