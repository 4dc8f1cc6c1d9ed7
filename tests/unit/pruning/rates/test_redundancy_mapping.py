"""LoSA's linear programme against a solver of such programmes."""

import math

import pytest
from scipy.optimize import linprog

from pruning.rates.rates import Sizes, overall
from pruning.rates.redundancy_mapping import by_redundancy, published_delta
from pruning.rates.rules import Rmi
from rankspace.errors import InvalidInput

REDUNDANT = {0: 0.05, 1: 0.3, 2: 0.2, 3: 0.25, 4: 0.2001}


@pytest.mark.parametrize(
    "sizes", [dict.fromkeys(range(5), 7), {0: 10, 1: 70, 2: 5, 3: 30, 4: 20}], ids=["equal", "not"]
)
@pytest.mark.parametrize("delta", [0.01, 0.2])
def test_it_is_the_solution_of_the_linear_programme(sizes: Sizes, delta: float) -> None:
    ratio = 0.4
    found = by_redundancy(ratio, sizes, REDUNDANT, delta)
    importances = [sizes[i] * math.exp(-REDUNDANT[i]) for i in sizes]
    solved = linprog(
        importances,
        A_eq=[list(sizes.values())],
        b_eq=[ratio * sum(sizes.values())],
        bounds=[(ratio - delta, ratio + delta)] * len(sizes),
    )
    reached = sum(i * s for i, s in zip(importances, found.values(), strict=True))
    assert reached == pytest.approx(solved.fun, abs=1e-9)
    assert overall(found, sizes) == pytest.approx(ratio, abs=1e-12)
    assert all(abs(rate - ratio) <= delta + 1e-12 for rate in found.values())


def test_the_most_redundant_half_loses_more() -> None:
    rates = by_redundancy(0.5, dict.fromkeys(range(4), 3), REDUNDANT, 0.1)
    assert rates == pytest.approx({0: 0.4, 1: 0.6, 2: 0.4, 3: 0.6})


def test_a_small_block_that_is_redundant_loses_more_than_a_large_one_that_is_not() -> None:
    """Two blocks were cut before; redundancies hardly differ, as those of many blocks do."""
    redundant = {0: 0.160, 1: 0.166, 2: 0.171, 3: 0.170}
    rates = by_redundancy(0.5, {0: 70, 1: 30, 2: 30, 3: 70}, redundant, 0.1)
    assert rates == pytest.approx({0: 0.4, 1: 0.4, 2: 0.6, 3: 0.6})


def test_the_published_widths_go_with_the_ratio() -> None:
    assert [published_delta(ratio) for ratio in (0.2, 0.5, 0.51, 0.6, 0.7, 0.9)] == [
        0.01,
        0.01,
        0.02,
        0.02,
        0.03,
        0.03,
    ]
    sizes = dict.fromkeys(range(2), 1)
    assert Rmi().rates(0.5, sizes, REDUNDANT) == pytest.approx({0: 0.49, 1: 0.51})


def test_a_rate_below_0_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"rates\.0 = -0\.1: is no share"):
        by_redundancy(0.1, {0: 1, 1: 1}, REDUNDANT, 0.2)
