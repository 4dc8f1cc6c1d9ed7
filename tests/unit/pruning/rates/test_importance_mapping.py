"""CFSP's kept shares against its code written out for blocks of one size."""

import math

import pytest

from pruning.rates.importance_mapping import by_importance
from pruning.rates.rates import Sizes, overall

DISTANCES = {0: 0.30, 1: 0.12, 2: 0.10, 3: 0.08, 4: 0.25}
EQUAL = dict.fromkeys(DISTANCES, 7)


def slow_shares(ratio: float, slope: float) -> list[float]:
    """Sums over 128 windows of 1,024 tokens, less their mean, over 10,000, through a sigmoid."""
    sums = [128 * 1024 * distance for distance in DISTANCES.values()]
    middle = sum(sums) / len(sums)
    scores = [1 / (1 + math.exp(-slope * (one - middle) / 10_000)) for one in sums]
    average, top = sum(scores) / len(scores), max(scores)
    if top / average * (1 - ratio) >= 1:
        factor = average * (1 / (1 - ratio) - 1) / (top - average) / 1.05
        scores = [average + (one - average) * factor for one in scores]
        average = sum(scores) / len(scores)
    return [one / average * (1 - ratio) for one in scores]


@pytest.mark.parametrize("ratio", [0.1, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("slope", [0.2, 1.0, 3.0])
def test_it_is_what_its_code_computes(ratio: float, slope: float) -> None:
    found = by_importance(ratio, EQUAL, DISTANCES, slope)
    shares = [1 - rate for rate in found.values()]
    assert shares == pytest.approx(slow_shares(ratio, slope), rel=1e-5)
    assert found[0] == min(found.values())
    assert found[3] == max(found.values())


@pytest.mark.parametrize("sizes", [EQUAL, {0: 10, 1: 70, 2: 5, 3: 30, 4: 20}], ids=["equal", "not"])
@pytest.mark.parametrize("ratio", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("slope", [0.01, 1.0, 50.0])
def test_the_overall_ratio_is_exact(sizes: Sizes, ratio: float, slope: float) -> None:
    rates = by_importance(ratio, sizes, DISTANCES, slope)
    assert overall(rates, sizes) == pytest.approx(ratio, abs=1e-12)
    assert all(0.0 <= rate <= 1.0 for rate in rates.values())


def test_blocks_that_turn_alike_lose_alike() -> None:
    assert by_importance(0.4, EQUAL, dict.fromkeys(EQUAL, 0.1), 1.0) == pytest.approx(
        dict.fromkeys(EQUAL, 0.4)
    )
