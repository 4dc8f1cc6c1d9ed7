"""The regression against independent oracles: primal algebra, sampling, held-out scores."""

import numpy as np
import pytest

from perfmodel.arrays import Floats
from perfmodel.evidence import WEIGHED, Point
from perfmodel.hierarchy import Level
from perfmodel.posterior import Posterior
from perfmodel.prior import Prior
from perfmodel.random_vectors import random_vectors
from perfmodel.standard import Standard
from rankspace import Layer, RankVector, SearchSpace

KINDS = ("q", "k", "v", "o")
LAYERS = tuple(Layer(f"{b}.{m}", 5 + 2 * (m == "o"), b, m) for b in range(4) for m in KINDS)
SPACE = SearchSpace(LAYERS, (0, 1, 2, 4), 2 * sum(layer.parameters_per_rank for layer in LAYERS))
PRIOR = Prior.of(SPACE)


def scores_of(vectors: tuple[RankVector, ...], noise: float, seed: int) -> Floats:
    rng = np.random.default_rng(100)
    worth = (rng.exponential(1.0, (4, 1)) * rng.exponential(1.0, (1, 4))).ravel()
    ranks = np.array([vector.ranks for vector in vectors])
    clean = (worth * ranks / (ranks + 1.5)).sum(axis=1)
    return np.asarray(clean + noise * np.random.default_rng(seed).standard_normal(len(vectors)))


def fit(count: int = 40, noise: float = 0.2, seeds: list[int] | None = None) -> Posterior:
    vectors = random_vectors(SPACE, count, seed=1)
    return Posterior.of(PRIOR, vectors, scores_of(vectors, noise, 0), seeds or [0] * count)


def primal(posterior: Posterior, point: Point) -> tuple[Floats, Floats]:
    """Mean and covariance of [mu, coefficients], standardised, by textbook normal equations."""
    n, layers, curves = posterior.features.shape
    share = np.zeros((layers, layers))
    for level in Level:
        spread = posterior.prior.hierarchy.spread(
            level, np.eye(posterior.prior.hierarchy.sizes[level])
        )
        share += point.scales[level] * spread @ spread.T
    # mu gets a wide prior in place of a flat one.
    covariance = np.zeros((1 + layers * curves, 1 + layers * curves))
    covariance[0, 0] = 1e6
    covariance[1:, 1:] = np.kron(share, np.eye(curves))
    design = np.concatenate([np.ones((n, 1)), posterior.features.reshape(n, -1)], axis=1)
    gain = covariance @ design.T @ np.linalg.inv(design @ covariance @ design.T + np.eye(n))
    return gain @ posterior.scores, covariance - gain @ design @ covariance


def test_predictions_equal_the_textbook_regression() -> None:
    posterior = fit()
    fresh = random_vectors(SPACE, 7, seed=2)
    rows = np.concatenate([np.ones((7, 1)), PRIOR.features(fresh).reshape(7, -1)], axis=1)
    means, squares = np.zeros(7), np.zeros(7)
    for point in posterior.points:
        mean, covariance = primal(posterior, point)
        variance = point.noise * np.einsum("ni,ij,nj->n", rows, covariance, rows)
        means += point.weight * (rows @ mean)
        squares += point.weight * (variance + (rows @ mean) ** 2)
    scale = posterior.standard.scale
    mean, std = posterior.predict(fresh)
    assert mean == pytest.approx(posterior.standard.centre + scale * means, abs=1e-3)
    assert std == pytest.approx(scale * np.sqrt(squares - means**2), rel=1e-2)


def test_evidence_is_the_density_of_the_scores() -> None:
    posterior = fit()
    n = len(posterior.scores)
    logs = []
    for point in posterior.points:
        basis = np.linalg.svd(np.eye(n) - 1.0 / n)[0][:, : n - 1]
        kernel = basis.T @ np.tensordot(point.scales, posterior.grams, 1) @ basis + np.eye(n - 1)
        y = basis.T @ posterior.scores
        rate = 0.02 + 0.5 * y @ np.linalg.solve(kernel, y)
        logs.append(-0.5 * np.linalg.slogdet(kernel)[1] - (1.0 + 0.5 * (n - 1)) * np.log(rate))
    weights = np.exp(np.array(logs) - max(logs))
    assert [p.weight for p in posterior.points] == pytest.approx(weights / weights.sum(), rel=1e-6)


def test_samples_have_the_posterior_mean_and_the_predicted_differences() -> None:
    posterior, rng = fit(), np.random.default_rng(0)
    tables = np.stack([posterior.sample_tables(rng) for _ in range(1500)])
    assert tables.mean(axis=0) == pytest.approx(posterior.mean_tables(), abs=0.15 * tables.std())
    first, second = random_vectors(SPACE, 2, seed=5)
    at = np.arange(len(LAYERS))
    totals = [
        tables[:, at, [SPACE.ranks.index(r) for r in v.ranks]].sum(axis=1) for v in (first, second)
    ]
    gap = totals[0] - totals[1]
    mean, std = posterior.difference(first, second)
    assert gap.mean() == pytest.approx(mean, abs=0.1 * std)
    assert gap.std() == pytest.approx(std, rel=0.15)


def test_the_difference_is_that_of_the_predictions() -> None:
    posterior = fit()
    pair = random_vectors(SPACE, 2, seed=5)
    mean, _ = posterior.predict(pair)
    assert posterior.difference(*pair)[0] == pytest.approx(mean[0] - mean[1], abs=1e-9)


@pytest.mark.parametrize("noise", [0.1, 0.6])
def test_predictions_of_new_vectors_are_good_and_their_intervals_honest(noise: float) -> None:
    posterior = fit(60, noise)
    fresh = random_vectors(SPACE, 300, seed=9)
    clean = scores_of(fresh, 0.0, 0)
    mean, std = posterior.predict(fresh)
    assert np.corrcoef(mean, clean)[0, 1] > 0.8
    assert 0.85 < np.mean(np.abs(mean - clean) < 1.96 * std) <= 1.0


def test_noise_is_learned() -> None:
    quiet, loud = fit(60, 0.05), fit(60, 1.0)
    noise = [p.standard.scale * float(np.sqrt(p.points[0].noise)) for p in (quiet, loud)]
    assert noise[0] < 0.3 < noise[1] < 1.5


def test_left_out_errors_equal_refitting_without_the_trial() -> None:
    posterior = fit(20)
    point = posterior.points[0]
    alone = Posterior(
        PRIOR,
        posterior.features,
        posterior.grams,
        posterior.scores,
        Standard(0.0, 1.0, -np.inf),
        posterior.offsets,
        (Point(1.0, point.scales, point.solver, 1.0, 1.0),),
    )
    keep = np.arange(20) != 3
    kernel = np.tensordot(point.scales, posterior.grams, 1)
    system = np.ones((20, 20))
    system[:-1, :-1] = kernel[keep][:, keep] + np.eye(19)
    system[-1, -1] = 0.0
    solution = np.linalg.solve(system, np.append(posterior.scores[keep], 0.0))
    predicted = kernel[3, keep] @ solution[:-1] + solution[-1]
    assert alone.left_out()[3] == pytest.approx(predicted - posterior.scores[3], abs=1e-9)


def test_a_seeds_own_level_does_not_matter() -> None:
    vectors = random_vectors(SPACE, 40, seed=1)
    scores = scores_of(vectors, 0.2, 0)
    seeds = [0] * 25 + [7] * 15
    shifted = scores + np.where(np.array(seeds) == 7, 0.5, 0.0)
    same = Posterior.of(PRIOR, vectors, scores, seeds)
    moved = Posterior.of(PRIOR, vectors, shifted, seeds)
    assert moved.mean_tables() == pytest.approx(same.mean_tables(), abs=0.1)


def test_one_diverged_trial_does_not_spoil_the_model() -> None:
    vectors = random_vectors(SPACE, 40, seed=1)
    scores = scores_of(vectors, 0.2, 0)
    scores[11] = -1e6
    fresh = random_vectors(SPACE, 200, seed=9)
    mean, _ = Posterior.of(PRIOR, vectors, scores, [0] * 40).predict(fresh)
    assert np.corrcoef(mean, scores_of(fresh, 0.0, 0))[0, 1] > 0.6


def test_equal_scores_are_no_problem() -> None:
    vectors = random_vectors(SPACE, 10, seed=1)
    mean, std = Posterior.of(PRIOR, vectors, np.full(10, 3.0), [0] * 10).predict(vectors)
    assert mean == pytest.approx(3.0)
    assert np.isfinite(std).all()


def test_more_observations_than_the_grid_is_weighed_on_are_all_used() -> None:
    posterior = fit(WEIGHED + 40)
    fresh = random_vectors(SPACE, 300, seed=9)
    mean, _ = posterior.predict(fresh)
    assert len(posterior.points[0].solver) == WEIGHED + 40
    assert np.corrcoef(mean, scores_of(fresh, 0.0, 0))[0, 1] > 0.95
