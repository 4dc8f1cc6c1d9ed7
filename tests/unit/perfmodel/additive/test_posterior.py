"""The regression against simulated truths: predictions, intervals, noise, seeds, fidelities."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from perfmodel.additive.basis import Basis
from perfmodel.additive.fit import Fit, refit
from perfmodel.additive.measurements import SEEDS_TOLD_APART
from perfmodel.additive.posterior import EAGER, Posterior
from perfmodel.additive.stored_fit import dump
from perfmodel.allocation.random_vectors import random_vectors
from perfmodel.arrays import Floats
from rankspace import Layer, Observation, RankVector, SearchSpace
from rankspace.granularity import COLUMNS

pytestmark = pytest.mark.slow

KINDS = ("q", "k", "v", "o")
LAYERS = tuple(Layer(f"{b}.{m}", 5 + 2 * (m == "o"), b, m) for b in range(4) for m in KINDS)
SPACE = SearchSpace(LAYERS, (0, 1, 2, 4), 2 * sum(layer.parameters_per_rank for layer in LAYERS))
BASIS = Basis.of(SPACE)
BLOCK = 8
"""Scores learned as one: few, so that short histories have some."""

FRESH = random_vectors(SPACE, 300, seed=9)


def clean(vectors: Sequence[RankVector], truth: int = 100) -> Floats:
    rng = np.random.default_rng(truth)
    worth = (rng.exponential(1.0, (4, 1)) * rng.exponential(1.0, (1, 4))).ravel()
    ranks = np.array([vector.ranks for vector in vectors])
    return np.asarray((worth * ranks / (ranks + 1.5)).sum(axis=1))


def seen(
    count: int, noise: float, *, seed: int = 0, truth: int = 100, trained: float = 1.0
) -> tuple[Observation, ...]:
    """Random vectors with noisy scores."""
    vectors = random_vectors(SPACE, count, seed=1 + seed)
    scores = clean(vectors, truth) + noise * np.random.default_rng(seed).standard_normal(count)
    pairs = zip(vectors, scores.tolist(), strict=True)
    return tuple(Observation(vector, score, 0, trained) for vector, score in pairs)


@cache
def learned(count: int, noise: float, *, seed: int = 0, truth: int = 100) -> Posterior:
    """Of what is ``seen``, the same one for every test that asks."""
    return Posterior.of(BASIS, seen(count, noise, seed=seed, truth=truth))


def correlation(posterior: Posterior, truth: int = 100) -> float:
    return float(np.corrcoef(posterior.predict(FRESH)[0], clean(FRESH, truth))[0, 1])


@pytest.mark.parametrize("noise", [0.2, 0.6])
@pytest.mark.slow
def test_predictions_of_new_vectors_are_good_and_their_intervals_honest(noise: float) -> None:
    inside = []
    for truth in (100, 101):
        posterior = learned(60, noise, truth=truth)
        mean, std = posterior.predict(FRESH)
        assert correlation(posterior, truth) > 0.7
        inside.append(np.mean(np.abs(mean - clean(FRESH, truth)) < 1.96 * std))
    assert 0.75 < np.mean(inside) <= 1.0  # scales and noise are point estimates, which narrows them


@pytest.mark.parametrize("noise", [0.2, 1.0])
@pytest.mark.slow
def test_noise_is_learned_with_an_interval_that_holds(noise: float) -> None:
    found = [Posterior.of(BASIS, seen(30, noise, seed=s, truth=100 + s)).noise for s in range(5)]
    assert all(one.low < one.sd < one.high for one in found)
    assert sum(one.low < noise < one.high for one in found) >= 3
    assert np.median([one.sd for one in found]) == pytest.approx(noise, rel=0.3)


def test_samples_scatter_as_predicted() -> None:
    posterior, rng = Posterior.of(BASIS, seen(40, 0.3)), np.random.default_rng(0)
    tables = np.stack([posterior.sample_tables(rng) for _ in range(1500)])
    first, second = random_vectors(SPACE, 2, seed=5)
    at = np.arange(len(LAYERS))
    totals = [
        tables[:, at, [SPACE.ranks.index(r) for r in v.ranks]].sum(axis=1) for v in (first, second)
    ]
    gap = totals[0] - totals[1]
    mean, std = posterior.difference(first, second)
    assert gap.mean() == pytest.approx(mean, abs=0.5 * std)
    assert gap.std() == pytest.approx(std, rel=0.4)  # less: draws stop at zero


def test_the_difference_is_that_of_the_predictions() -> None:
    posterior = learned(40, 0.2)
    pair = random_vectors(SPACE, 2, seed=5)
    mean, _ = posterior.predict(pair)
    assert posterior.difference(*pair)[0] == pytest.approx(mean[0] - mean[1], abs=1e-9)


def test_left_out_errors_are_those_of_refitting_without_the_trial() -> None:
    trials = seen(20, 0.2)
    fit = Posterior.of(BASIS, trials).fit
    rows, targets = fit.gaussian.rows, fit.gaussian.targets
    keep = np.arange(20) != 3
    covariance = np.linalg.inv(
        np.diag(1.0 / fit.gaussian.prior_variance) + rows[keep].T @ rows[keep]
    )
    prior = fit.gaussian.prior_mean / fit.gaussian.prior_variance
    mean = covariance @ (prior + rows[keep].T @ targets[keep])
    deviation = fit.measurements.deviations(fit.whitening)[3]
    assert fit.left_out[3] == pytest.approx(deviation * (rows[3] @ mean - targets[3]), rel=1e-6)


def test_a_posterior_is_the_same_however_its_scores_were_batched() -> None:
    trials = seen(EAGER + 30, 0.3)
    at_once = Posterior.of(BASIS, trials)
    piecewise = Posterior.of(BASIS, trials[:9]).advanced(trials[:70]).advanced(trials)
    assert (at_once.coefficients == piecewise.coefficients).all()
    assert len(at_once.fit.measurements.seen) < len(trials)  # the last ones by rank-one updates


def test_rank_one_updates_keep_up_with_refits() -> None:
    trials = seen(EAGER + 6, 0.3)
    updated = Posterior.of(BASIS, trials)
    assert len(updated.fit.measurements.seen) == EAGER
    assert updated.count == len(trials)
    before = Posterior.of(BASIS, trials[:EAGER])
    change = updated.predict(FRESH)[0] - before.predict(FRESH)[0]
    assert 0.0 < np.abs(change).max() < 0.5 * float(np.ptp(clean(FRESH)))


def test_more_trials_than_coefficients_are_all_used() -> None:
    posterior = Posterior.of(BASIS, seen(160, 0.3))
    assert len(posterior.fit.gaussian.rows) < 160
    assert correlation(posterior) > 0.97


def test_a_seeds_own_level_does_not_matter() -> None:
    trials = seen(40, 0.2)
    moved = tuple(
        Observation(one.rank_vector, (one.score or 0.0) + 0.5 * (at >= 25), 7 * (at >= 25))
        for at, one in enumerate(trials)
    )
    same, shifted = learned(40, 0.2), Posterior.of(BASIS, moved)
    assert np.corrcoef(same.predict(FRESH)[0], shifted.predict(FRESH)[0])[0, 1] > 0.97


def test_trials_of_a_lower_fidelity_teach_the_shape() -> None:
    short = tuple(
        Observation(one.rank_vector, -9.0 + 0.4 * (one.score or 0.0), 0, 0.25)
        for one in seen(40, 0.2)
    )
    few = seen(6, 0.2, seed=4)
    alone, helped = Posterior.of(BASIS, few), Posterior.of(BASIS, short + few)
    assert correlation(helped) > 0.85 > correlation(alone)
    assert helped.predict(FRESH)[0].mean() == pytest.approx(clean(FRESH).mean(), abs=1.0)
    assert helped.fit.noise.slopes[1] == pytest.approx(0.4, abs=0.25)


@pytest.mark.parametrize("diverged", [-1e6, -20.0])
def test_diverged_trials_do_not_spoil_the_model(diverged: float) -> None:
    trials = list(seen(40, 0.2))
    for at in (11, 30):
        trials[at] = Observation(trials[at].rank_vector, diverged * (1 + at))
    assert correlation(Posterior.of(BASIS, tuple(trials))) > 0.7


def test_a_tenth_of_diverged_trials_costs_little_wherever_they_end() -> None:
    """Too near the others to be told from them by a gap, too far to be averaged."""
    rng = np.random.default_rng(3)
    whole, found = [], []
    for truth in (100, 101):
        trials = list(seen(60, 0.2, truth=truth))
        whole.append(correlation(learned(60, 0.2, truth=truth), truth))
        for at in rng.choice(60, 6, replace=False).tolist():
            lost = (trials[at].score or 0.0) - 0.2 * float(rng.uniform(20.0, 200.0))
            trials[at] = Observation(trials[at].rank_vector, lost)
        found.append(correlation(Posterior.of(BASIS, tuple(trials)), truth))
    assert np.mean(found) > np.mean(whole) - 0.04


def test_equal_scores_are_no_problem() -> None:
    vectors = random_vectors(SPACE, 10, seed=1)
    mean, std = Posterior.of(BASIS, tuple(Observation(v, 3.0) for v in vectors)).predict(vectors)
    assert mean == pytest.approx(3.0, abs=0.2)
    assert np.isfinite(std).all()


@pytest.mark.parametrize("factor", [1e-9, 1e9])
def test_the_unit_of_the_score_does_not_matter(factor: float) -> None:
    trials = tuple(
        Observation(one.rank_vector, factor * (one.score or 0.0)) for one in seen(40, 0.2)
    )
    assert correlation(Posterior.of(BASIS, trials)) > 0.85


@pytest.mark.parametrize(("at", "diverged"), [(3, -1e6), (5, -1e9), (20, 1e7)])
def test_no_single_score_breaks_the_fit(at: int, diverged: float) -> None:
    trials = list(seen(30, 0.2))
    trials[at] = Observation(trials[at].rank_vector, diverged)
    mean, std = Posterior.of(BASIS, tuple(trials)).predict(FRESH)
    assert np.isfinite(mean).all()
    assert np.isfinite(std).all()


def test_repeats_of_one_vector_alone_are_no_problem() -> None:
    scores = np.random.default_rng(0).standard_normal(14).tolist()
    posterior = Posterior.of(BASIS, tuple(Observation(SPACE.uniform(), s) for s in scores))
    _, std = posterior.predict([SPACE.uniform()])
    assert float(std[0]) < 2.0


def test_nothing_asked_nothing_answered() -> None:
    mean, std = Posterior.of(BASIS, seen(10, 0.2)).predict([])
    assert mean.shape == std.shape == (0,)


def test_a_long_history_is_learned_alike_in_any_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perfmodel.additive.posterior.BLOCK", BLOCK)
    history = seen(168, 0.3)
    at_once = Posterior.of(BASIS, history)
    assert len(at_once.fit.measurements.seen) < len(history) - BLOCK  # blocks and single scores
    bit_by_bit = Posterior.of(BASIS, history[:138])
    for end in (139, 148, 157, 160, 167, 168):
        bit_by_bit = bit_by_bit.advanced(history[:end])
    assert np.array_equal(at_once.gaussian.mean, bit_by_bit.gaussian.mean)
    assert np.array_equal(at_once.gaussian.factor, bit_by_bit.gaussian.factor)
    assert len(at_once.gaussian.targets) <= at_once.gaussian.rows.shape[1] + BLOCK


def test_rows_in_parts_say_what_they_say_together(monkeypatch: pytest.MonkeyPatch) -> None:
    history = seen(140, 0.3)
    together = Posterior.of(BASIS, history)
    monkeypatch.setattr("perfmodel.additive.measurements.PART", 60)
    in_parts = Posterior.of(BASIS, history)
    assert np.allclose(together.predict(FRESH), in_parts.predict(FRESH), rtol=1e-6)
    assert together.fit.misleads == in_parts.fit.misleads
    assert np.allclose(together.fit.left_out, in_parts.fit.left_out, rtol=1e-6)


def _columns(posterior: Posterior) -> int:
    return len(posterior.gaussian.mean) - len(posterior.coefficients)


def test_seeds_without_end_are_no_columns_without_end() -> None:
    history = tuple(
        Observation(one.rank_vector, one.score, seed=at // 2)
        for at, one in enumerate(seen(150, 0.2))
    )
    posterior = Posterior.of(BASIS, history)
    assert _columns(posterior) == 2 + SEEDS_TOLD_APART  # a fidelity, "on another seed", and seeds
    assert len(posterior.fit.measurements.seen) < len(history)  # a new seed calls for no refit
    assert correlation(posterior) > 0.7


def _each_on_its_own(trials: Sequence[Observation], spread: float) -> tuple[Observation, ...]:
    """Each trial on a seed of its own, whose effect scatters by ``spread``."""
    effects = spread * np.random.default_rng(4).standard_normal(len(trials))
    return tuple(
        Observation(one.rank_vector, (one.score or 0.0) + effect, 1000 + at)
        for at, (one, effect) in enumerate(zip(trials, effects.tolist(), strict=True))
    )


def test_a_seed_met_once_is_a_variance_and_no_column() -> None:
    apart = Posterior.of(BASIS, _each_on_its_own(seen(60, 0.2), 0.0))
    assert _columns(apart) == 2
    assert correlation(apart) > 0.97 * correlation(learned(60, 0.2))


def test_trials_alone_on_their_seed_count_less_the_more_seeds_differ() -> None:
    home, elsewhere = seen(30, 0.1), _each_on_its_own(seen(30, 0.1, seed=3), 4.0)
    mixed = Posterior.of(BASIS, home + elsewhere)
    assert mixed.fit.noise.alone > 20.0
    assert correlation(mixed) > 0.97 * correlation(learned(30, 0.1))
    same = Posterior.of(BASIS, home + _each_on_its_own(seen(30, 0.1, seed=3), 0.0))
    assert same.fit.noise.alone < 5.0
    assert correlation(same) > correlation(learned(30, 0.1))


def test_the_home_seed_is_the_studys_own_however_few_trials_ran_on_it() -> None:
    """Foreign trials first, and more of them: predicted is the level of the home seed."""
    there = tuple(Observation(o.rank_vector, (o.score or 0.0) - 5.0, 9) for o in seen(25, 0.1))
    here = seen(8, 0.1, seed=3)
    for trials in (there + here, here + there):
        mean, _ = Posterior.of(BASIS, trials, home=0).predict(FRESH)
        assert mean.mean() == pytest.approx(clean(FRESH).mean(), abs=0.5)
        mean, _ = Posterior.of(BASIS, trials, home=9).predict(FRESH)
        assert mean.mean() == pytest.approx(clean(FRESH).mean() - 5.0, abs=0.5)


def test_a_seed_of_its_own_for_every_trial_calls_for_no_refits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts: list[int] = []

    def counted(basis: Basis, seen: tuple[Observation, ...], before: Fit | None, home: int) -> Fit:
        counts.append(len(seen))
        return refit(basis, seen, before, home)

    monkeypatch.setattr("perfmodel.additive.posterior.refit", counted)
    Posterior.of(BASIS, _each_on_its_own(seen(100, 0.2), 1.0))
    assert len(counts) < EAGER + 12


def test_a_layer_has_as_many_columns_as_a_submission_counts() -> None:
    assert BASIS.features([FRESH[0]]).shape[1] == COLUMNS * len(SPACE.layers)


@pytest.mark.parametrize("fitted", [12, 100], ids=["few", "compressed"])
def test_a_posterior_at_rest_says_the_same_in_half_the_memory(fitted: int) -> None:
    known = seen(fitted + 3, 0.3)
    grown = Posterior.after(refit(BASIS, known[:fitted], None))
    for one in known[fitted:]:  # as between two refits
        longer = grown.gaussian.extended(*grown.fit.measured(one))
        grown = Posterior(grown.fit, longer, grown.count + 1)
    rested, whole = grown.at_rest(), grown.gaussian
    further = seen(1, 0.3, seed=5)[0]
    assert rested.size < 0.6 * grown.size
    assert rested.size == whole.rows.nbytes + whole.factor.nbytes
    assert rested.fit.misleads == grown.fit.misleads
    assert np.array_equal(
        rested.gaussian.extended(*rested.fit.measured(further)).mean,
        whole.extended(*grown.fit.measured(further)).mean,
    )
    assert np.array_equal(rested.fit.gaussian.factor, grown.fit.gaussian.factor)
    assert np.array_equal(rested.fit.left_out, grown.fit.left_out)
    assert dump(rested.fit) == dump(grown.fit)
