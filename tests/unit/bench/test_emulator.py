"""The emulated surfaces on which priors and strategies are compared."""

from dataclasses import replace

import numpy as np
import pytest

from bench.meta import moments_of, needed
from bench.surfaces.emulator import Emulator, emulate
from perfmodel import random_vectors
from perfmodel.arrays import Floats
from perfmodel.meta.finished import FinishedStudy
from rankspace import Observation
from tests.unit.perfmodel.meta.worlds import World, truth, world


def with_repeats(one: World, noise: float) -> FinishedStudy:
    """The world's trials, twelve of them on six further seeds that shift every score."""
    rng = np.random.default_rng(0)
    again = [
        Observation(seen.rank_vector, (seen.score or 0.0) + 3.0 * seed + noise * rng.normal(), seed)
        for seed in range(1, 7)
        for seen in one.study.observations[:12]
    ]
    return replace(one.study, observations=(*one.study.observations, *again))


def scores_of(one: World) -> Floats:
    return np.array([seen.score for seen in one.study.observations], dtype=np.float64)


@pytest.fixture(scope="module")
def invented() -> World:
    return world(2, blocks=2, trials=90, noise=0.1)


@pytest.fixture(scope="module")
def emulator(invented: World) -> Emulator:
    found = emulate(with_repeats(invented, 0.1 * float(scores_of(invented).std())))
    assert found is not None
    return found


def test_it_foretells_vectors_it_has_not_seen(invented: World, emulator: Emulator) -> None:
    fresh = random_vectors(invented.study.space, 200, 77)
    assert np.corrcoef(emulator.values(fresh), truth(invented, fresh))[0, 1] > 0.9


def test_its_scores_are_in_the_surfaces_own_unit(invented: World, emulator: Emulator) -> None:
    vectors = [seen.rank_vector for seen in invented.study.observations]
    scores = scores_of(invented)
    error = emulator.values(vectors) - scores
    assert abs(error.mean()) < 0.2 * scores.std()
    assert error.std() < 0.3 * scores.std()


def test_its_noise_is_that_of_the_repeats(invented: World, emulator: Emulator) -> None:
    assert emulator.noise == pytest.approx(0.1 * scores_of(invented).std(), rel=0.3)


def test_nothing_is_better_than_its_optimum(invented: World, emulator: Emulator) -> None:
    fresh = random_vectors(invented.study.space, 300, 78)
    assert emulator.optimum >= emulator.values(fresh).max()
    assert emulator.optimum > emulator.uniform


def test_without_repeats_there_is_no_emulator(invented: World) -> None:
    assert emulate(invented.study) is None


def test_trials_to_a_regret_are_interpolated() -> None:
    curve = np.array([90.0, 50.0, 30.0, 40.0])
    moments = [2, 4, 8, 10]
    assert needed(moments, curve, 95.0) == 2
    assert needed(moments, curve, 50.0) == 4
    assert needed(moments, curve, 40.0) == 6
    assert needed(moments, curve, 10.0) == float("inf")


def test_half_and_all_trials_are_judged() -> None:
    assert {5, 10, 20} <= set(moments_of(20))
    assert max(moments_of(40)) == 40
