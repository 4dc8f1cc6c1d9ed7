from perfmodel.reasons import moves
from rankspace import Layer, RankVector, SearchSpace

GRID = SearchSpace(
    tuple(Layer(f"{b}.{m}", 5, b, m) for b in range(2) for m in "qvo"), (0, 1, 2, 4), 60
)
EVEN = GRID.uniform()


def test_the_kind_that_gains_and_the_one_that_loses_are_named() -> None:
    assert moves(GRID, EVEN, RankVector((0, 2, 4, 0, 2, 4))) == "moves parameters to o, away from q"


def test_a_move_between_blocks_is_named_by_block() -> None:
    assert (
        moves(GRID, EVEN, RankVector((4, 4, 4, 0, 0, 0)))
        == "moves parameters to block 0, away from block 1"
    )


def test_two_groups_are_named_when_they_are_close() -> None:
    assert (
        moves(GRID, EVEN, RankVector((0, 4, 4, 1, 2, 1)))
        == "moves parameters to v and o, away from q"
    )


def test_a_cheaper_vector_only_takes() -> None:
    assert moves(GRID, EVEN, RankVector((1, 2, 2, 1, 2, 2))) == "takes parameters from q"


def test_layers_without_groups_are_named_themselves() -> None:
    space = SearchSpace((Layer("a", 5), Layer("b", 5)), (0, 1, 2), 10)
    assert moves(space, space.uniform(), RankVector((2, 0))) == "moves parameters to a, away from b"
    assert moves(space, space.uniform(), space.uniform()) == "the same rank everywhere"
