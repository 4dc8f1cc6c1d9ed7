from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from perfmodel.meta.labels import labels_of
from rankspace import Observation, RankVector
from tests.unit.perfmodel.meta.worlds import repeated, world


def test_labels_find_the_worth_and_say_how_well_they_know_it() -> None:
    one = world(3, trials=140)
    labels = labels_of(one.study)
    assert labels is not None
    error = labels.log_worth - np.array(one.log_worth)
    error -= np.average(error, weights=labels.precision)
    assert spearmanr(labels.log_worth, one.log_worth)[0] > 0.85
    claimed = error * np.sqrt(labels.precision)
    assert 0.4 < np.sqrt(np.mean(claimed**2)) < 2.5


def test_a_layer_that_the_trials_say_little_about_has_little_precision() -> None:
    one = world(4, trials=140)
    labels = labels_of(one.study)
    assert labels is not None
    worth = np.array(one.log_worth)
    best, worst = np.argsort(worth)[-5:], np.argsort(worth)[:5]
    assert labels.precision[best].mean() > 3.0 * labels.precision[worst].mean()


def test_a_fixed_layer_has_no_label() -> None:
    one = world(5).study
    name = one.space.layers[2].name
    fixed = replace(one, space=replace(one.space, fixed={name: 2}))
    labels = labels_of(fixed)
    assert labels is not None
    assert 2 not in labels.free
    assert len(labels.free) == len(labels.log_worth) == len(one.space.layers) - 1


def test_vectors_far_from_the_budget_do_not_count() -> None:
    one = world(6).study
    labels = labels_of(one)
    empty = RankVector((0,) * len(one.space.layers))
    odd = tuple(Observation(empty, 1e6 * i) for i in range(50))
    assert labels is not None
    other = labels_of(replace(one, observations=one.observations + odd))
    assert other is not None
    assert np.array_equal(labels.log_worth, other.log_worth)


def test_noise_comes_from_repeats_and_not_from_the_seeds_own_shift() -> None:
    one = world(7, noise=0.0).study
    spread = float(np.std([seen.score for seen in one.observations if seen.score is not None]))
    labels = labels_of(repeated(one, seeds=8, noise=0.3 * spread))
    assert labels is not None
    assert labels.noise == pytest.approx(0.3, rel=0.4)


def test_noise_without_repeats_is_what_the_fit_leaves_over() -> None:
    quiet, loud = (labels_of(world(8, noise=noise).study) for noise in (0.05, 1.0))
    assert quiet is not None
    assert loud is not None
    assert quiet.noise < 0.4 < loud.noise


@pytest.mark.parametrize("kept", [0, 11])
def test_too_few_trials_teach_nothing(kept: int) -> None:
    one = world(9).study
    assert labels_of(replace(one, observations=one.observations[:kept])) is None


def test_failed_trials_and_equal_scores_teach_nothing() -> None:
    one = world(9).study
    failed = tuple(replace(seen, score=None) for seen in one.observations)
    equal = tuple(replace(seen, score=1.0) for seen in one.observations)
    assert labels_of(replace(one, observations=failed)) is None
    assert labels_of(replace(one, observations=equal)) is None
