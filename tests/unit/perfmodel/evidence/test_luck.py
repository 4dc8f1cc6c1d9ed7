"""How far two draws of random vectors differ in their best, against simulation."""

import numpy as np
import pytest

from perfmodel.evidence.luck import luck, variance_of_largest
from rankspace.study import MOST_NATS


@pytest.mark.parametrize(("count", "variance"), [(1, 1.0), (2, 1.0 - 1.0 / np.pi), (5, 0.4475)])
def test_the_variance_of_the_largest_of_normals(count: int, variance: float) -> None:
    assert variance_of_largest(count) == pytest.approx(variance, abs=1e-3)


@pytest.mark.parametrize("share", [0.2, 0.6, 1.0])
def test_the_best_of_one_draw_leads_another_by_less_in_19_of_20(share: float) -> None:
    """``share`` of the scores' variance is true; the rest is noise, which chooses as well."""
    rng, count, exceeded = np.random.default_rng(0), 40, 0
    for _ in range(1000):
        true = share**0.5 * rng.standard_normal((2, count))
        scores = true + (1.0 - share) ** 0.5 * rng.standard_normal((2, count))
        best, other = true[[0, 1], scores.argmax(axis=1)]
        exceeded += best - other > luck(scores[1].tolist())
    assert exceeded / 1000 <= 0.05 + 2 * (0.05 * 0.95 / 1000) ** 0.5


def test_one_random_vector_tells_nothing_and_no_number_is_too_large() -> None:
    assert luck([1.0]) == luck([]) == MOST_NATS
    assert luck([-1e6, 0.0, 1e6]) == MOST_NATS
