"""Calibration judges predictions as a person with a pencil would."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

from perfmodel.evidence import calibration as module
from perfmodel.evidence.calibration import Result, calibrate, crps, proportion
from rankspace.calibration import Noise, Trust

NOISE = Noise(0.5, 0.4, 0.6, "known")


def results(count: int, claimed: float = 1.0, seed: int = 0) -> list[Result]:
    """Predictions that claim ``claimed`` times their true error of 1, noise included."""
    rng = np.random.default_rng(seed)
    mean = 3.0 * rng.standard_normal(count)
    std = np.sqrt(0.75) * np.ones(count)
    score = mean + np.hypot(std, NOISE.sd) / claimed * rng.standard_normal(count)
    return [Result(at, *row) for at, row in enumerate(zip(mean, std, score, strict=True))]


def test_honest_predictions_are_found_honest() -> None:
    found = calibrate(results(400), NOISE)
    assert found.trust is Trust.HOLDS
    assert all(seen.low < seen.level < seen.high for seen in found.coverage)
    assert found.bias == pytest.approx(0.0, abs=0.15)
    assert found.points[0].std == pytest.approx(1.0)
    assert found.crps == pytest.approx(np.pi**-0.5, rel=0.1)  # of a unit normal forecast that holds


@pytest.mark.parametrize(
    ("claimed", "trust", "words"),
    [(0.4, Trust.NARROW, "too narrow"), (3.0, Trust.WIDE, "wider than need be")],
)
def test_a_wrong_spread_is_found(claimed: float, trust: Trust, words: str) -> None:
    found = calibrate(results(60, claimed), NOISE)
    assert found.trust is trust
    assert words in found.summary
    assert "better than chance" in found.summary


def test_the_rate_of_false_alarms_is_small() -> None:
    trusts = [calibrate(results(40, seed=seed), NOISE).trust for seed in range(200)]
    # Six one-sided looks at 2.5 %, strongly dependent; 200 studies.
    assert trusts.count(Trust.HOLDS) >= 170


def test_too_few_results_are_not_judged() -> None:
    assert calibrate(results(9), NOISE).trust is Trust.TOO_EARLY
    assert calibrate(results(10), NOISE).trust is not Trust.TOO_EARLY
    nothing = calibrate([], None)
    assert (nothing.spearman, nothing.crps, nothing.crps_baseline, nothing.bias) == (None,) * 4
    assert "0 predicted results" in nothing.summary


def test_a_strategy_that_predicts_nothing_is_not_waited_for() -> None:
    blind = [Result(at, None, None, float(at)) for at in range(10)]
    assert "predicts nothing" in calibrate(blind, NOISE).summary
    assert "Too early" in calibrate(blind[:9], NOISE).summary


def test_trials_without_a_prediction_only_feed_the_baseline() -> None:
    blind = [Result(-1, None, None, 100.0), Result(-2, None, None, 101.0)]
    found = calibrate([*blind, *results(20)], NOISE)
    assert len(found.points) == 20
    plain = calibrate(results(20), NOISE)
    assert found.crps == plain.crps
    assert found.crps_baseline is not None
    assert plain.crps_baseline is not None
    assert found.crps_baseline > plain.crps_baseline
    infinite = calibrate([Result(0, 0.0, float("inf"), 1.0), *results(20)], NOISE)
    assert len(infinite.points) == 20


def test_rank_correlations_agree_with_scipy_and_hold_the_truth() -> None:
    found = calibrate(results(50), NOISE)
    mean = [point.mean for point in found.points]
    score = [point.score for point in found.points]
    assert found.spearman is not None
    assert found.kendall is not None
    assert found.spearman.value == pytest.approx(stats.spearmanr(mean, score).statistic)
    assert found.kendall.value == pytest.approx(stats.kendalltau(mean, score).statistic)
    assert found.spearman.low < found.spearman.value < found.spearman.high < 1.0
    same = [Result(at, 1.0, 1.0, float(at)) for at in range(20)]
    assert calibrate(same, None).spearman is None


def test_a_rank_correlation_s_interval_covers() -> None:
    """Of unrelated predictions and results, about one in twenty looks related."""
    rng = np.random.default_rng(1)
    held = [0, 0]
    for _ in range(300):
        pairs = rng.standard_normal((25, 2))
        found = calibrate([Result(0, a, 1.0, b) for a, b in pairs.tolist()], None)
        for at, seen in enumerate((found.spearman, found.kendall)):
            assert seen is not None
            held[at] += seen.low < 0.0 < seen.high
    assert all(270 <= count <= 298 for count in held)


def test_no_ranking_is_claimed_where_none_is_shown() -> None:
    rng = np.random.default_rng(2)
    blind = [Result(0, float(a), 1.0, float(b)) for a, b in rng.standard_normal((40, 2))]
    assert "is not shown" in calibrate(blind, None).summary


def test_crps_is_the_integral_it_is_defined_as() -> None:
    for z in (-1.7, 0.0, 0.4):
        below, _ = integrate.quad(lambda x: stats.norm.cdf(x) ** 2, -12, z)
        above, _ = integrate.quad(lambda x: stats.norm.sf(x) ** 2, z, 12)
        found = crps(np.array([z]), np.array([2.0]))[0]
        assert found == pytest.approx(2.0 * (below + above), abs=1e-7)


def test_a_share_s_interval_is_jeffreys_and_closed_at_the_ends() -> None:
    assert proportion(0, 20)[0] == 0.0
    assert proportion(20, 20)[1] == 1.0
    assert proportion(10, 20) == pytest.approx((0.2938, 0.7062), abs=1e-3)


def test_of_very_many_results_all_are_judged_and_the_latest_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = calibrate(results(60), NOISE)
    monkeypatch.setattr(module, "SHOWN", 7)
    found = calibrate(results(60), NOISE)
    assert found.points == whole.points[-7:]
    assert found.summary == f"{whole.summary} The latest 7 of 60 are shown."
    assert replace(found, points=whole.points, summary=whole.summary) == whole


def test_a_prediction_is_judged_by_the_noise_it_was_made_with() -> None:
    """One that was too sure of itself does not get better by what is known later."""
    rng = np.random.default_rng(0)
    scores = (2.0 * rng.standard_normal(200)).tolist()
    kept = [Result(at, 0.0, 0.0, score, 1.0) for at, score in enumerate(scores)]
    today = [Result(at, 0.0, 0.0, score) for at, score in enumerate(scores)]
    known = Noise(2.0, 1.9, 2.1, "test")
    sure, found = calibrate(kept, known), calibrate(today, known)
    assert (sure.trust, found.trust) == (Trust.NARROW, Trust.HOLDS)
    assert "judged by today's" in found.summary
    assert "judged by today's" not in sure.summary
