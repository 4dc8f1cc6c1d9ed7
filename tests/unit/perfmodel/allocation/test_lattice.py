import numpy as np
import pytest

from perfmodel.allocation.lattice import Lattice
from perfmodel.arrays import Floats, Integers
from rankspace import Layer, SearchSpace
from tests.contract.spaces import SPACES

SEARCHED = [name for name in SPACES if SPACES[name]().free_layers]


@pytest.mark.parametrize("shape", SEARCHED)
def test_mutants_stay_within_the_budget_and_use_it(shape: str) -> None:
    space, rng = SPACES[shape](), np.random.default_rng(0)
    lattice = Lattice.of(space)
    parents = lattice.levels([space.uniform(), space.cheapest()])
    mutants = lattice.mutants(parents, 40, rng)
    for levels in mutants:
        vector = lattice.vector(levels)
        space.check(vector)
        left = space.max_parameters - space.parameters(vector)
        for at, layer in enumerate(lattice.free.tolist()):
            if levels[at] < lattice.tops[at]:
                prices = [space.price(layer, rank) for rank in space.options[layer]]
                assert prices[levels[at] + 1] - prices[levels[at]] > left


def test_as_many_layers_rise_as_fall_and_no_more_than_some() -> None:
    """Where all layers cost the same nothing has to be repaired or filled."""
    space = SearchSpace(tuple(Layer(str(at), 7) for at in range(160)), (0, 1, 2, 3, 4), 2 * 7 * 160)
    lattice, rng = Lattice.of(space), np.random.default_rng(0)
    mutants = lattice.mutants(lattice.levels([space.uniform()]), 200, rng)
    change = mutants - 2
    assert set(np.unique(change).tolist()) == {-1, 0, 1}
    assert (change.sum(axis=1) == 0).all()
    moves = (change > 0).sum(axis=1)
    assert 7.0 < moves.mean() < 12.0  # 1 + 160 / 16, less where one layer both rises and falls
    assert len(np.unique(moves)) > 5
    assert (np.abs(change).sum(axis=0) > 0).all()


@pytest.mark.parametrize("shape", SEARCHED)
def test_levels_and_vectors_are_the_same_thing(shape: str) -> None:
    space = SPACES[shape]()
    lattice = Lattice.of(space)
    for levels in lattice.random(5, np.random.default_rng(1)):
        assert lattice.levels([lattice.vector(levels)]).tolist() == [levels.tolist()]


def test_a_climb_ends_near_the_top_and_ties_fall_by_order() -> None:
    space = SPACES["blocks and kinds"]()
    lattice = Lattice.of(space)
    wanted = np.random.default_rng(2).standard_normal(len(lattice.free))

    def worth(levels: Integers) -> Floats:
        return np.asarray(np.sqrt(levels) @ wanted)

    start = lattice.levels([space.uniform()])
    met, values = lattice.climb(start, worth, np.random.default_rng(0), rounds=25, count=32)
    drawn = worth(lattice.random(800, np.random.default_rng(5)))
    assert values[0] > drawn.max()
    assert values[0] == pytest.approx(worth(met[:1])[0])
    flat, _ = lattice.climb(
        start,
        lambda levels: 1e-9 * worth(levels) + 1.0,
        np.random.default_rng(0),
        rounds=3,
        count=8,
    )
    assert lattice.vector(flat[0]) == space.uniform()
