"""Kendall's tau between rungs, its intervals, and levels of scores on other seeds."""

from itertools import permutations

import numpy as np
import pytest

from perfmodel.evidence.rungs.agreement import agreement, exact, interval, rung
from perfmodel.evidence.rungs.levels import Levels, Scores, connected, levels
from rankspace import RankVector


def scores(*values: float, seed: int = 0) -> Scores:
    return {RankVector((at,)): {seed: value} for at, value in enumerate(values)}


def level(*values: float) -> Levels:
    return levels(scores(*values))


def test_below_four_vectors_nothing_can_be_told() -> None:
    found = agreement("a", "b", level(1.0, 2.0, 3.0, 4.0), level(1.0, 2.0, 3.0))
    assert (found.vectors, found.tau, found.low, found.high) == (3, None, None, None)
    assert found.sentence == "It cannot be told: 3 vectors on both, and 4 are needed."
    assert agreement("a", "b", level(1.0), {}).vectors == 0


def test_a_rung_that_tells_nothing_apart_agrees_with_none() -> None:
    found = agreement("a", "b", level(1.0, 2.0, 3.0, 4.0), level(*[1.0] * 4))
    assert found.tau is None
    assert "does not tell its 4 vectors apart" in found.sentence


def test_four_that_agree_may_do_so_by_chance() -> None:
    found = agreement("a", "b", level(1.0, 2.0, 3.0, 4.0), level(5.0, 6.0, 7.0, 8.0))
    assert (found.tau, found.high) == (1.0, 1.0)
    assert found.low is not None
    assert found.low < 0.0
    assert "is not shown" in found.sentence
    ten = [float(at) for at in range(10)]
    many = agreement("a", "b", level(*ten), level(*ten))
    assert many.low is not None
    assert 0.5 < many.low < 1.0
    assert "better than chance" in many.sentence


def test_the_exact_interval_covers_as_often_as_it_says() -> None:
    """Over all rankings of five, weighed as Mallows' model does."""
    rankings = [*permutations(range(5))]
    swaps = [sum(a > b for i, a in enumerate(r) for b in r[i:]) for r in rankings]
    for steepness in (0.0, 0.3, 1.0, 2.0):
        weights = np.exp(-steepness * np.array(swaps))
        weights /= weights.sum()
        taus = 1.0 - np.array(swaps) / 5.0
        true = float(weights @ taus)
        ends = {swap: exact(5, swap, swap) for swap in set(swaps)}
        held = [ends[swap][0] - 1e-6 <= true <= ends[swap][1] + 1e-6 for swap in swaps]
        assert float(weights @ held) >= 0.95
    assert exact(5, 3, 3) == pytest.approx([-end for end in exact(5, 7, 7)[::-1]], abs=1e-6)


def test_ties_are_no_agreement() -> None:
    """One of five stands out in both columns, as it does by chance once in five."""
    low, high = interval(*np.array([[0.0, 0.0, 0.0, 0.0, 1.0]] * 2))
    assert (low < 0.0, high) == (True, 1.0)


def test_of_three_levels_chance_is_told_as_such() -> None:
    """Unrelated columns, most pairs of which are tied in one of the two."""
    draws, above, below, told = np.random.default_rng(0), 0, 0, 0
    for _ in range(250):
        left, right = draws.choice(3, (2, 8), p=[0.8, 0.1, 0.1]).astype(float)
        if np.ptp(left) > 0.0 and np.ptp(right) > 0.0:
            low, high = interval(left, right)
            above, below, told = above + (low > 0.0), below + (high < 0.0), told + 1
    assert told > 150
    assert above / told <= 0.025
    assert below / told <= 0.025


def test_the_bootstrap_of_many_vectors_covers_too() -> None:
    draws, inside = np.random.default_rng(1), 0
    true = 2.0 / np.pi * np.arcsin(0.6)  # of a normal pair with correlation 0.6
    for _ in range(12):
        left = draws.normal(size=40)
        right = 0.6 * left + 0.8 * draws.normal(size=40)
        low, high = interval(left, right)
        inside += low <= true <= high
    assert inside >= 10


def test_seeds_shift_scores_and_not_levels() -> None:
    """The last two ran on a seed that is kinder to all."""
    one = {
        RankVector((0,)): {0: 1.0, 1: 6.0},
        RankVector((1,)): {0: 2.0},
        RankVector((2,)): {1: 6.5},
    }
    found = levels(one)
    assert found[RankVector((1,))] - found[RankVector((0,))] == pytest.approx(1.0)
    assert found[RankVector((2,))] - found[RankVector((0,))] == pytest.approx(0.5)


def test_a_chain_of_seeds_leads_to_the_exact_levels() -> None:
    """Each seed shares one vector with the next: alternating means had not settled in 50 rounds."""
    chain = {
        RankVector((at,)): {seed: 10.0 * seed + at for seed in (at, at + 1)} for at in range(30)
    }
    found = levels(chain)
    told = [found[vector] - found[RankVector((0,))] for vector in chain]
    assert told == pytest.approx([float(at) for at in range(30)], abs=1e-9)


def test_seeds_that_nothing_connects_are_told_apart() -> None:
    left = {RankVector((at,)): {0: float(at), 1: float(at)} for at in range(3)}
    right = {RankVector((9,)): {7: 100.0}, RankVector((10,)): {7: 99.0, 8: 5.0}}
    assert connected({**right, **left}) == left
    bridge = {RankVector((11,)): {8: 5.0, 1: 1.0}}
    assert connected({**left, **right, **bridge}) == {**left, **right, **bridge}
    assert connected({}) == {}


def test_repeats_say_what_another_rung_can_agree_at_most() -> None:
    twice = {
        RankVector((at,)): {0: float(at), 1: float(other)} for at, other in enumerate((0, 1, 3, 2))
    }
    found = rung("trials", twice)
    assert found.repeat == pytest.approx(2.0 / 3.0)
    assert (found.vectors, found.repeat_vectors) == (4, 4)
    assert rung("trials", scores(1.0, 2.0, 3.0, 4.0)).repeat is None
