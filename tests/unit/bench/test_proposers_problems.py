"""The problems are what they are said to be, and the same for every arm."""

import importlib.util
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.proposers.problems.draws import RANKS
from bench.proposers.problems.families import FAMILIES, problem
from bench.proposers.problems.landscapes import Bottleneck, Interacting, LogSumExp, Separable
from bench.proposers.problems.noise import Gaussian, HeavyTailed
from bench.proposers.problems.optimum import climb, levels_of, optimum, vector_at
from bench.proposers.problems.problem import Problem, spread
from bench.proposers.problems.shapes import RISING, curves
from rankspace import Layer, RankVector, SearchSpace

SCRIPT = Path(__file__).parents[4] / "shared/reference/bench_search_services.py"
SIZED = [(name, size) for name, family in FAMILIES.items() for size in family.dimensions if size]


def test_reference_is_the_problem_its_figures_were_published_on() -> None:
    posed = problem("reference", 32, 0)
    assert posed.uniform_score == pytest.approx(-1.0)
    assert posed.observe(posed.space.uniform(), 0) == pytest.approx(-1.0006286511)
    assert posed.best_score() == pytest.approx(-0.631844, abs=1e-6)


@pytest.mark.skipif(not SCRIPT.exists(), reason=f"{SCRIPT} is not beside this checkout")
@pytest.mark.parametrize("layers", [32, 128])
def test_reference_equals_the_script_trial_by_trial(layers: int) -> None:
    spec = importlib.util.spec_from_file_location("bench_search_services", SCRIPT)
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    theirs, ours = script.Prob(layers, 3), problem("reference", layers, 3)
    rng = np.random.default_rng(9)
    for trial in range(20):
        ranks = rng.choice(script.CH, layers)
        vector = RankVector(tuple(ranks.tolist()))
        assert ours.observe(vector, trial) == pytest.approx(-theirs.noisy(ranks), abs=1e-12)
        regret = ours.regret(vector, ours.best_score())
        assert regret == pytest.approx(theirs.regret(ranks), abs=1e-9)


@pytest.mark.parametrize(("family", "layers"), SIZED)
def test_a_seed_is_one_problem_with_uniform_at_100_and_the_optimum_at_0(
    family: str, layers: int
) -> None:
    posed, again = problem(family, layers, 1), FAMILIES[family].make(layers, 1)
    other = problem(family, layers, 2)
    assert len(posed.space.layers) == layers
    assert posed.fingerprint == again.fingerprint != other.fingerprint
    posed.space.check(posed.optimum)
    if family != "flat":
        best = posed.best_score()
        assert posed.regret(posed.space.uniform(), best) == pytest.approx(100.0)
        assert posed.regret(posed.optimum, best) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("family", "layers", "least", "most"),
    [
        ("separable", 32, 3.0, 40.0),
        ("bottleneck", 32, 3.0, 40.0),
        ("interactions", 8, 3.0, 40.0),
        ("block-kind", 224, 25.0, 35.0),
    ],
)
def test_gaps_span_what_is_asked_in_noise_deviations(
    family: str, layers: int, least: float, most: float
) -> None:
    posed = [problem(family, layers, seed) for seed in range(12)]
    gaps = [(p.best_score() - p.uniform_score) / p.noise.deviation for p in posed]
    assert least <= min(gaps) < max(gaps) <= most
    assert max(gaps) - min(gaps) > 0.4 * (most - least)


def test_noise_depends_on_the_trial_alone() -> None:
    for noise in (Gaussian(5, 2.0), HeavyTailed(5, 2.0, 2.5, failing=0.0)):
        forwards = [noise.observe(0.0, trial) for trial in range(40)]
        backwards = [noise.observe(0.0, trial) for trial in reversed(range(40))][::-1]
        assert forwards == backwards
        assert len(set(forwards)) == 40
    late = Gaussian(5, 2.0).observe(0.0, 5000)
    assert late == pytest.approx(2.0 * np.random.default_rng(5).standard_normal(5001)[5000])


def test_heavy_noise_has_tails_failures_and_explosions() -> None:
    noise = HeavyTailed(0, 1.0, 2.5)
    seen = [noise.observe(0.0, trial) for trial in range(4000)]
    scores = np.array([score for score in seen if score is not None])
    assert 40 <= sum(score is None for score in seen) <= 130
    assert 40 <= int((scores < -20.0).sum()) <= 150
    assert 0.7 < np.percentile(np.abs(scores), 50) < 0.95


def test_rising_shapes_rise_from_0_to_1_and_are_no_saturating_exponentials() -> None:
    rng, axis = np.random.default_rng(0), np.array(RANKS, dtype=np.float64)
    taus = np.geomspace(0.3, 300.0, 400)[:, None]
    exponentials = (1.0 - np.exp(-axis / taus)) / (1.0 - np.exp(-axis[-1] / taus))
    for shape in RISING:
        found = curves((shape,), RANKS, 20, rng)
        assert (found[:, 0] == 0.0).all()
        assert (np.diff(found, axis=1) >= 0.0).all()
        np.testing.assert_allclose(found[:, -1], 1.0)
        apart = np.abs(found[:, None] - exponentials).max(axis=2).min(axis=1)
        assert apart.mean() > 0.01, shape


def test_in_non_monotone_some_layers_lose_by_more_rank_and_in_separable_none() -> None:
    hurt = problem("non-monotone", 32, 0).landscape.tables
    fine = problem("separable", 32, 0).landscape.tables
    assert hurt is not None
    assert fine is not None
    assert 3 <= int((np.diff(hurt, axis=1) < 0.0).any(axis=1).sum()) <= 18
    assert not (np.diff(fine, axis=1) < 0.0).any()


def test_a_bottleneck_scores_minus_the_4_norm_of_what_is_lacking() -> None:
    landscape = Bottleneck(np.array([[4.0, 1.0], [3.0, 2.0], [1.0, 0.5]]), 4.0)
    found = landscape.scores(np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]]))
    norms = [(256 + 81 + 1) ** 0.25, (1 + 81 + 1) ** 0.25, (256 + 16 + 1) ** 0.25]
    np.testing.assert_allclose(found, np.negative(norms))
    gains = found[1:] - found[0]
    assert gains[0] / 3.0 > 1.8 * gains[1]  # per unit mended, the worst layer dominates
    np.testing.assert_array_equal(landscape.tables, -(landscape.lack**4))


def interacting(seed: int, strength: float = 3.0) -> tuple[SearchSpace, Interacting]:
    rng = np.random.default_rng(seed)
    space = SearchSpace(
        tuple(Layer(f"{i}", int(rng.integers(5, 15))) for i in range(4)), (0, 2, 4, 6, 8), 130
    )
    worth = np.cumsum(rng.random((4, 5)), axis=1)
    unit = worth / worth[:, -1:]
    left, right = np.array([0, 1, 2, 3]), np.array([1, 2, 3, 0])
    return space, Interacting(worth, unit, left, right, rng.normal(0.0, strength, 4))


@pytest.mark.parametrize("strength", [3.0, 30.0])
@pytest.mark.parametrize("seed", range(6))
def test_the_search_finds_the_optimum_of_an_interacting_landscape(
    seed: int, strength: float
) -> None:
    space, landscape = interacting(seed, strength)
    every = [RankVector(ranks) for ranks in itertools.product(space.ranks, repeat=4)]
    best = max(
        float(landscape.scores(levels_of(space, v)[None])[0]) for v in every if space.affords(v)
    )
    found = optimum(space, landscape)
    assert space.affords(found)
    assert float(landscape.scores(levels_of(space, found)[None])[0]) == pytest.approx(best)


def test_the_search_keeps_the_best_of_ends_that_differ() -> None:
    posed = problem("interactions", 32, 9)
    uniform = climb(posed.space, posed.landscape, levels_of(posed.space, posed.space.uniform()))
    assert posed.regret(vector_at(posed.space, uniform), posed.best_score()) > 1.0


def test_climbing_never_passes_the_exact_optimum_and_comes_close_to_it() -> None:
    posed = problem("separable", 32, 0)
    end = vector_at(
        posed.space,
        climb(posed.space, posed.landscape, levels_of(posed.space, posed.space.uniform())),
    )
    assert posed.space.affords(end)
    assert 0.0 <= posed.regret(end, posed.best_score()) < 2.0


def test_no_answer_ends_above_the_optimum() -> None:
    space, landscape = interacting(0)
    posed = Problem(space, landscape, Gaussian(0, 1.0))
    truly = posed.optimum
    vars(posed)["optimum"] = space.uniform()  # a search that found nothing
    assert posed.best_score() < posed.score(truly)
    assert posed.best_score([truly]) == pytest.approx(posed.score(truly))


def test_neighbours_vary_half_as_much_as_the_layers_alone() -> None:
    posed = problem("neighbours", 32, 0)
    landscape = posed.landscape
    assert isinstance(landscape, Interacting)
    assert (landscape.right == landscape.left + 1).all()
    alone = spread(posed.space, Separable(landscape.worth))
    pairs = spread(posed.space, replace(landscape, worth=0.0 * landscape.worth))
    assert pairs == pytest.approx(0.5 * alone)


def test_every_layer_of_peaks_rises_up_to_a_rank_and_never_again() -> None:
    tables = problem("peaks", 32, 0).landscape.tables
    assert tables is not None
    tops = tables.argmax(axis=1)
    steps = np.diff(tables, axis=1)
    assert len(set(tops.tolist())) > 2
    for top, row in zip(tops.tolist(), steps, strict=True):
        assert (row[:top] >= -1e-12).all()
        assert (row[top:] <= 1e-12).all()
    assert (steps < 0.0).any(axis=1).sum() > 16


def test_a_log_sum_exp_is_ordered_by_its_tables_and_lies_near_the_worst() -> None:
    landscape = LogSumExp(np.array([[4.0, 1.0], [3.0, 2.0], [1.0, 0.5]]), 0.1)
    levels = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]])
    found = landscape.scores(levels)
    np.testing.assert_allclose(found, [-4.0, -3.0, -2.0, -2.0], atol=1e-3)
    sums = Separable(landscape.tables).scores(levels)
    assert np.argsort(found).tolist() == np.argsort(sums).tolist()


def test_a_tenth_of_diverging_trials_ends_far_too_low_with_a_score() -> None:
    posed = problem("diverging", 32, 0)
    seen = [posed.noise.observe(0.0, trial) for trial in range(2000)]
    scores = np.array([score for score in seen if score is not None])
    assert len(scores) == 2000
    low = scores < -19.0 * posed.noise.deviation
    assert 150 <= int(low.sum()) <= 250
    assert float(scores[~low].std()) == pytest.approx(posed.noise.deviation, rel=0.1)
