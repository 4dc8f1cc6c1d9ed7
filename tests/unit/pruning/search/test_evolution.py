"""Moves of the genetic algorithm, one by one."""

from random import Random

from pruning.search.evaluation import Evaluation
from pruning.search.evolution import GeneticMoves
from tests.unit.pruning.search.spaces import space_of

SPACE = space_of(0.5)
POPULATION = [Evaluation(dict.fromkeys(SPACE.blocks, n / 10), float(n)) for n in range(8)]


def moves() -> GeneticMoves:
    return GeneticMoves(SPACE, Random(0))


def test_the_better_of_two_is_a_parent() -> None:
    """The mean place of the better of two drawn from eight is 35 / 16, of one 3.5."""
    made = moves()
    places = [POPULATION.index(one) for _ in range(500) for one in made.parents(POPULATION)]
    assert abs(sum(places) / len(places) - 35 / 16) < 0.25
    assert set(places) == set(range(8))


def test_a_child_has_each_rate_of_one_parent_or_the_other() -> None:
    made = moves()
    children = {made.cross(POPULATION[1], POPULATION[6]) for _ in range(200)}
    assert {rate for child in children for rate in child} == {0.1, 0.6}
    assert len(children) == 2**5


def test_a_mutation_changes_one_rate_at_least_and_about_two() -> None:
    made = moves()
    child = (0.1, 0.3, 0.5, 0.7, 0.9)
    changed = [
        sum(a != b for a, b in zip(child, made.mutate(child, POPULATION), strict=True))
        for _ in range(300)
    ]
    assert min(changed) == 1
    assert 2.2 < sum(changed) / len(changed) < 3.0  # one for certain, 2 / 5 of the other four
