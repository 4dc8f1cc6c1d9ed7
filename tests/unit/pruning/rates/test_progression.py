"""Rates that rise from block to block: ATP's formula, its legal range, the exact overall ratio."""

import pytest

from pruning.rates.progression import arithmetic, linear, steepest
from pruning.rates.rates import Sizes, overall
from rankspace.errors import InvalidInput

SEVEN_BILLION = dict.fromkeys(range(32), 202_375_168)
UNEQUAL: Sizes = {3: 100, 5: 700, 6: 50, 9: 150}


def test_it_is_the_published_progression() -> None:
    """``s_i = S - beta (L - 1) / 2 + beta i``, and the limit .01935 of L = 32, S = 0.7."""
    rates = arithmetic(0.7, SEVEN_BILLION, 0.004)
    for i, rate in rates.items():
        assert rate == pytest.approx(0.7 - 0.004 * 31 / 2 + 0.004 * i, abs=1e-12)
    assert steepest(0.7, SEVEN_BILLION) == pytest.approx(2 * (1 - 0.7) / 31)
    assert steepest(0.2, SEVEN_BILLION) == pytest.approx(2 * 0.2 / 31)


@pytest.mark.parametrize("ratio", [0.05, 0.2, 0.5, 0.7])
@pytest.mark.parametrize("sizes", [SEVEN_BILLION, UNEQUAL, {4: 10}])
def test_the_overall_ratio_is_exact_up_to_the_steepest(ratio: float, sizes: Sizes) -> None:
    for part in (0.01, 0.5, 1.0):
        rates = arithmetic(ratio, sizes, part * steepest(ratio, sizes))
        assert overall(rates, sizes) == pytest.approx(ratio, abs=1e-12)
        assert list(rates) == sorted(sizes)
        assert list(rates.values()) == sorted(rates.values())
        assert 0.0 <= min(rates.values()) <= max(rates.values()) <= 1.0


@pytest.mark.parametrize("part", [0.0, -0.5, 1.001, float("nan")])
def test_a_step_outside_the_legal_range_is_refused_with_it(part: float) -> None:
    limit = steepest(0.7, SEVEN_BILLION)
    with pytest.raises(InvalidInput, match="outside the legal range") as caught:
        arithmetic(0.7, SEVEN_BILLION, part * limit)
    assert caught.value.hint == "use more than 0 and at most 0.0193548"


@pytest.mark.parametrize("first", [0.3, 0.4, 0.5])
@pytest.mark.parametrize("sizes", [SEVEN_BILLION, UNEQUAL])
def test_a_line_begins_where_it_is_told_and_keeps_the_ratio(first: float, sizes: Sizes) -> None:
    rates = linear(0.4, sizes, first)
    assert rates[min(sizes)] == pytest.approx(first)
    assert overall(rates, sizes) == pytest.approx(0.4, abs=1e-12)
    slopes = [(rates[b] - rates[a]) / (b - a) for a in sizes for b in sizes if a < b]
    assert slopes == pytest.approx([slopes[0]] * len(slopes), abs=1e-9)


def test_a_line_that_leaves_0_to_1_is_refused_with_what_does_not() -> None:
    sizes = {0: 1, 1: 1, 2: 1}
    for first in (-0.01, 0.41, 1.2):
        with pytest.raises(InvalidInput, match="depth-linear") as caught:
            linear(0.2, sizes, first)
        assert caught.value.hint == "use 0 to 0.4"
    assert linear(0.2, sizes, 0.4)[2] == pytest.approx(0.0)
    assert linear(0.2, {4: 1}, 0.9) == {4: 0.2}
