import numpy as np
import pytest

from perfmodel.additive.standard import Standard

GOOD = [0.40, 0.42, 0.43, 0.45, 0.47, 0.48, 0.49, 0.50]


@pytest.mark.parametrize("rest", [GOOD, [0.4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]])
def test_a_diverged_score_is_pulled_in_to_the_edge_of_the_others(rest: list[float]) -> None:
    assert Standard.of(np.array([-1e9, *rest])).floor == 0.4


def test_a_search_that_closes_in_keeps_its_first_scores() -> None:
    scores = np.array([0.0, 0.3, 0.5, 0.7, 0.9, 0.95, 0.97, 0.98, 0.99, 0.992])
    assert Standard.of(scores).floor == -np.inf


def test_few_scores_have_no_outliers() -> None:
    assert Standard.of(np.array([-1e9, 0.4, 0.5])).floor == -np.inf


def test_scores_that_differ_by_rounding_are_all_alike() -> None:
    rounding = 1e-10 * np.random.default_rng(0).standard_normal(12)
    standard = Standard.of(2.5 + rounding)
    units, unit = standard.standardised(2.5 + rounding)
    assert (units == 0.0).all()
    assert unit == 1.0
    assert standard.above(np.array([2.6])) == pytest.approx(0.1, abs=1e-9)
    apart = 2.5 + 1e6 * rounding
    units, unit = Standard.of(apart).standardised(apart)
    assert units.std() == pytest.approx(1.0)
    assert unit == pytest.approx(apart.std())
