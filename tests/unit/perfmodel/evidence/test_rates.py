"""What other learning rates say of a gain, in words that a person would use."""

import pytest

from perfmodel.evidence.rates import rates_found
from rankspace.verdict import RatePoint

SPREAD = [0.9, 1.0, 1.1, 1.0]  # of the pairs at the recipe's rate; one may be off by 0.19


@pytest.mark.parametrize(
    ("slow", "own", "fast", "said", "best"),
    [
        ((-9.0, -8.0), (-8.0, -7.0), (-7.8, -6.9), "holds at every rate", 1.0),
        ((-9.0, -9.0), (-8.0, -7.0), (-8.0, -8.1), "only at the recipe's rate", 1.0),
        ((-9.0, -8.0), (-8.0, -7.0), (-7.8, -7.8), "shows at 0.33, 1 times", 1.0),
        ((-9.0, -9.0), (-8.0, -8.0), (-8.0, -8.0), "no gain at any rate", 1.0),
        ((-9.0, -8.0), (-8.0, -7.0), (-7.1, -6.0), "gives uniform ranks as much: 3 times", 3.0),
        ((-9.0, -8.0), (-8.0, -7.0), (None, None), "shows at 0.33, 1 times", 1.0),
        ((-9.0, -8.0), (-8.0, -7.0), (-7.5, -6.0), "best at 3 times the recipe's rate", 3.0),
    ],
)
def test_what_is_said(
    slow: tuple[float | None, float | None],
    own: tuple[float, float],
    fast: tuple[float | None, float | None],
    said: str,
    best: float,
) -> None:
    points = [RatePoint(0.33, *slow), RatePoint(1.0, *own), RatePoint(3.0, *fast)]
    found = rates_found(points, SPREAD)
    assert said in found.summary
    assert found.best == best
    assert found.points == tuple(points)


def test_uniform_that_stays_behind_is_not_said_to_do_as_well() -> None:
    points = [RatePoint(1.0, -8.0, -7.0), RatePoint(3.0, -7.8, -6.9)]
    assert "as much" not in rates_found(points, SPREAD).summary
