"""The Gaussian against textbook algebra in the space of coefficients."""

import numpy as np
import pytest

from perfmodel.additive.gaussian import Gaussian
from perfmodel.arrays import Floats

RNG = np.random.default_rng(0)
ROWS, TARGETS = RNG.standard_normal((7, 12)), RNG.standard_normal(7)
MEAN, VARIANCE = RNG.standard_normal(12), RNG.uniform(0.2, 3.0, 12)


def given(count: int = 7) -> Gaussian:
    return Gaussian(ROWS[:count], TARGETS[:count], MEAN, VARIANCE)


def textbook() -> tuple[Floats, Floats]:
    covariance = np.linalg.inv(np.diag(1.0 / VARIANCE) + ROWS.T @ ROWS)
    return covariance @ (MEAN / VARIANCE + ROWS.T @ TARGETS), np.asarray(covariance)


def test_moments_equal_the_normal_equations() -> None:
    mean, covariance = textbook()
    directions = RNG.standard_normal((5, 12))
    assert given().mean == pytest.approx(mean)
    assert given().variance == pytest.approx(np.diag(covariance))
    expected = np.einsum("mp,pq,mq->m", directions, covariance, directions)
    assert given().variances(directions) == pytest.approx(expected)


def test_measurements_one_by_one_equal_all_at_once() -> None:
    grown = given(3)
    for row, target in zip(ROWS[3:], TARGETS[3:].tolist(), strict=True):
        grown = grown.extended(row, target)
    assert grown.mean == pytest.approx(given().mean)
    assert grown.factor == pytest.approx(given().factor)


@pytest.mark.slow
def test_draws_have_the_moments() -> None:
    mean, covariance = textbook()
    rng = np.random.default_rng(1)
    drawn = np.stack([given().sample(rng) for _ in range(20_000)])
    assert drawn.mean(axis=0) == pytest.approx(mean, abs=0.05)
    assert np.cov(drawn.T) == pytest.approx(covariance, abs=0.1)


def test_an_equal_one_within_another_holds_no_larger_array() -> None:
    whole = given()
    inside = given(3).within(whole)
    assert np.shares_memory(inside.rows, whole.rows)
    outside = inside.within(Gaussian(ROWS[::-1], TARGETS, MEAN, VARIANCE))
    assert np.array_equal(outside.rows, ROWS[:3])
    assert outside.rows.base is None
    assert outside.within(Gaussian(ROWS[::-1], TARGETS, MEAN, VARIANCE)).rows is outside.rows
