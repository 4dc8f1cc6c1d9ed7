"""What other learning rates say of a gain, in words that a person would use."""

import numpy as np
import pytest

from perfmodel.evidence.rates import rates_found
from rankspace.verdict import RatePoint

SPREAD = [0.9, 1.0, 1.1, 1.0]
"""Of the pairs at the recipe's rate; one of two may be off by 0.26."""

Scores = tuple[float | None, float | None]


@pytest.mark.parametrize(
    ("slow", "own", "fast", "said", "best"),
    [
        ((-9.0, -8.0), (-8.0, -7.0), (-7.8, -6.9), "holds at every rate", 1.0),
        ((-9.0, -9.0), (-8.0, -7.0), (-8.0, -8.1), "shows only at the recipe's rate", 1.0),
        ((-9.0, -8.0), (-8.0, -7.0), (-7.8, -7.8), "gain is smaller at 3 times", 1.0),
        ((-9.0, -8.8), (-8.0, -7.0), (-8.0, -7.0), "smaller at 0.33 times", 1.0),
        ((-9.0, -8.0), (-8.0, -7.0), (-6.7, -6.0), "gives uniform ranks as much: 3 times", 3.0),
        ((-9.0, -8.0), (-8.0, -7.0), (-7.1, -6.0), "as much cannot be told", 3.0),
        ((-9.0, -8.0), (-8.0, -7.0), (-7.8, -7.0), "No larger rate gives uniform", 1.0),
        ((-9.0, -8.0), (-8.0, -7.0), (-7.5, -6.0), "best at 3 times the recipe's rate", 3.0),
    ],
)
def test_what_is_said(slow: Scores, own: Scores, fast: Scores, said: str, best: float) -> None:
    points = [RatePoint(0.33, *slow), RatePoint(1.0, *own), RatePoint(3.0, *fast)]
    found = rates_found(points, SPREAD)
    assert said in found.summary
    assert found.best == best
    assert found.points == tuple(points)


def test_a_gain_between_nothing_and_the_recipes_is_not_known() -> None:
    noisy = [0.0, 1.0, 2.0, 1.0]
    points = [RatePoint(1.0, -8.0, -7.0), RatePoint(3.0, -8.0, -7.5)]
    said = rates_found(points, noisy).summary
    assert "Whether there is a gain at 3 times the recipe's rate cannot be told" in said


@pytest.mark.parametrize("failed", [(None, None), (None, -7.0), (-8.0, None)])
def test_a_rate_that_failed_is_named_and_nothing_is_said_of_its_gain(failed: Scores) -> None:
    points = [RatePoint(0.33, -9.0, -8.0), RatePoint(1.0, -8.0, -7.0), RatePoint(3.0, *failed)]
    said = rates_found(points, SPREAD).summary
    assert "The gain holds at every rate." in said
    assert "A trial failed at 3 times the recipe's rate: nothing is said of that." in said


def test_where_all_others_failed_nothing_is_said_of_the_gain() -> None:
    points = [RatePoint(0.33, None, None), RatePoint(1.0, -8.0, -7.0), RatePoint(3.0, None, None)]
    found = rates_found(points, SPREAD)
    assert found.summary.startswith("A trial failed at 0.33, 3 times")
    assert found.best == 1.0


def test_no_rate_is_recommended_where_the_recipes_own_failed() -> None:
    found = rates_found([RatePoint(1.0, -8.0, None), RatePoint(3.0, -8.0, -7.0)], SPREAD)
    assert found.best == 1.0
    assert "use that" not in found.summary


@pytest.mark.parametrize("rates", [(0.33, 3.0), (0.1, 0.2, 0.33, 0.5, 1.5, 2.0, 3.0, 5.0, 10.0)])
def test_where_the_rate_does_nothing_nothing_is_found_more_than_once_in_twenty(
    rates: tuple[float, ...],
) -> None:
    """The same gain everywhere: another rate is no better, and buys uniform ranks nothing."""
    rng, times = np.random.default_rng(0), 1500
    false = {"as much:": 0, "only at": 0, "use that": 0}
    for _ in range(times):
        uniform, winner = rng.normal(size=5), 3.0 + rng.normal(size=5)
        points = [RatePoint(1.0, float(uniform[0]), float(winner[0]))]
        points += [RatePoint(r, rng.normal(), 3.0 + rng.normal()) for r in rates]
        points.sort(key=lambda one: one.rate)
        said = rates_found(points, (winner - uniform).tolist()).summary
        for words in false:
            false[words] += words in said
    assert max(false.values()) <= 0.05 * times + 2.0 * (0.05 * 0.95 * times) ** 0.5
