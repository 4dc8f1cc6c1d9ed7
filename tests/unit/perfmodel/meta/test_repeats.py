import numpy as np
import pytest

from perfmodel.meta.repeats import repeat_noise
from rankspace import Observation, RankVector


def trials(vectors: int, seeds: int, noise: float, rng: np.random.Generator) -> list[Observation]:
    return [
        Observation(RankVector((v,)), float(v + 10.0 * s + noise * rng.standard_normal()), s)
        for v in range(vectors)
        for s in range(seeds)
    ]


def test_the_estimate_is_unbiased_and_in_the_unit_asked_for() -> None:
    rng = np.random.default_rng(0)
    found = [repeat_noise(trials(8, 4, 2.0, rng), 4.0) for _ in range(100)]
    assert np.mean([one**2 for one in found if one]) == pytest.approx(0.25, rel=0.1)


def test_vectors_and_seeds_of_their_own_are_no_noise() -> None:
    noise = repeat_noise(trials(8, 4, 0.0, np.random.default_rng(0)), 1.0)
    assert noise == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("vectors", "seeds"), [(20, 1), (5, 2), (1, 30)])
def test_too_few_repeats_say_nothing(vectors: int, seeds: int) -> None:
    assert repeat_noise(trials(vectors, seeds, 1.0, np.random.default_rng(0)), 1.0) is None
