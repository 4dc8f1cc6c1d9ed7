"""Calibration: what predictions were worth, from each trial's prediction and later result.

Each prediction was stored when its trial was proposed, so judging it by the trial's result is
honest without leaving anything out (prequential). The predicted score of a trial is the model's
noiseless one plus the trial's own noise, as large as the model took it for *then*: by what it knows
now, a prediction that was too sure of itself would look better than it was. What all trials of a
search's seed share is in neither.

Source: Dawid (1984), prequential; Jeffreys intervals, Brown, Cai & DasGupta (2001); the
correlations' intervals by Fisher's z with the variances of Bonett & Wright (2000) for Spearman
and Fieller, Hartley & Pearson (1957) for Kendall; CRPS, Gneiting & Raftery (2007), eq. 21.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from perfmodel.arrays import Floats
from perfmodel.evidence import rank_correlation
from rankspace.calibration import Calibration, Correlation, Coverage, Noise, Predicted, Trust

LEVELS = (0.5, 0.8, 0.95)
LEAST_PREDICTED = 10
"""Predicted results before anything is judged."""

SHOWN = 2000
"""Predicted results listed, the latest ones; all of them are judged."""

LEAST_RANKED = 5
"""Predicted results before a correlation has an interval."""


@dataclass(frozen=True, slots=True)
class Result:
    """A finished trial: its score, and what was predicted of it; None where nothing was.

    ``noise`` is what the model took a trial's noise for then; None where nobody kept it.
    """

    trial: int
    mean: float | None
    std: float | None
    score: float
    noise: float | None = None


def calibrate(results: Sequence[Result], noise: Noise | None) -> Calibration:
    """Judge the predictions.

    Args:
        results: In the order in which they came; those without a prediction only tell the
            baseline what scores are like.
        noise: Of one trial, as known now; None counts as no noise. Results that do not say what it
            was taken for are judged by it.
    """
    judged = [one for one in results if _is_predicted(one)]
    mean, std, score = np.array([(r.mean, r.std, r.score) for r in judged]).reshape(-1, 3).T
    now = noise.sd if noise else 0.0
    std = np.hypot(std, [now if one.noise is None else one.noise for one in judged])
    z = (score - mean) / np.maximum(std, TINY)
    coverage = tuple(_coverage(level, z) for level in LEVELS)
    trust = _trust(coverage)
    spearman, kendall = _spearman(mean, score), _kendall(mean, score)
    return Calibration(
        trust=trust,
        summary=(
            _summary(trust, coverage, spearman) + _unkept(judged) + _left_out(len(judged))
            if judged or len(results) < LEAST_PREDICTED
            else "Nothing to judge: the strategy predicts nothing of the trials it proposes."
        ),
        coverage=coverage,
        spearman=spearman,
        kendall=kendall,
        bias=float(np.mean(score - mean)) if judged else None,
        crps=float(np.mean(crps(z, std))) if judged else None,
        crps_baseline=_baseline(results),
        noise=noise,
        points=_points(judged[-SHOWN:], std[-SHOWN:]),
    )


TINY = 1e-300


def _is_predicted(one: Result) -> bool:
    return one.mean is not None and one.std is not None and math.isfinite(one.std)


def _points(judged: Sequence[Result], std: Floats) -> tuple[Predicted, ...]:
    return tuple(
        Predicted(one.trial, one.mean, error, one.score)
        for one, error in zip(judged, std.tolist(), strict=True)
        if one.mean is not None
    )


def _coverage(level: float, z: Floats) -> Coverage:
    inside = int((np.abs(z) <= special.ndtri(0.5 + level / 2.0)).sum())
    low, high = proportion(inside, len(z))
    return Coverage(level, inside, len(z), low, high)


def proportion(hits: int, count: int) -> tuple[float, float]:
    """Jeffreys' 95 % interval of a share, closed at 0 without hits and at 1 with hits only."""
    low, high = special.betaincinv(hits + 0.5, count - hits + 0.5, [0.025, 0.975])
    return float(low) if hits else 0.0, float(high) if hits < count else 1.0


def crps(z: Floats, std: Floats) -> Floats:
    """Continuous ranked probability score of normal forecasts, ``(n,)``.

    Args:
        z: Result minus forecast mean, in forecast standard deviations, ``(n,)``.
        std: Forecast standard deviations, ``(n,)``.
    """
    density = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi)
    return np.asarray(std * (z * (2.0 * special.ndtr(z) - 1.0) + 2.0 * density - np.pi**-0.5))


def _baseline(results: Sequence[Result]) -> float | None:
    """Mean CRPS, over the predicted results, of a normal forecast from all earlier scores."""
    scores = np.array([one.score for one in results])
    before = np.arange(len(scores))
    sums, squares = (np.concatenate([[0.0], np.cumsum(scores**power)[:-1]]) for power in (1, 2))
    predicted = np.array([one.mean is not None for one in results], dtype=np.bool_)
    at = np.flatnonzero(predicted & (before >= 2))
    if not len(at):
        return None
    mean = sums[at] / before[at]
    variance = (squares[at] / before[at] - mean**2) * before[at] / (before[at] - 1)
    std = np.sqrt(np.maximum(variance * (1.0 + 1.0 / before[at]), TINY))
    return float(np.mean(crps((scores[at] - mean) / std, std)))


def _spearman(mean: Floats, score: Floats) -> Correlation | None:
    if not _can_rank(mean, score):
        return None
    value = rank_correlation.spearman(mean, score)
    return _interval(value, (1.0 + value**2 / 2.0) / (len(mean) - 3))


def _kendall(mean: Floats, score: Floats) -> Correlation | None:
    if not _can_rank(mean, score):
        return None
    return _interval(rank_correlation.kendall(mean, score), 0.437 / (len(mean) - 4))


def _can_rank(mean: Floats, score: Floats) -> bool:
    return len(mean) >= LEAST_RANKED and bool(np.ptp(mean) > 0.0 and np.ptp(score) > 0.0)


def _interval(value: float, variance: float) -> Correlation:
    """Fisher's z interval; a perfect correlation has none but itself."""
    z = np.arctanh(np.clip(value, -1.0 + 1e-12, 1.0 - 1e-12))
    low, high = np.tanh(z + special.ndtri([0.025, 0.975]) * np.sqrt(variance))
    return Correlation(value, float(low), float(high))


def _trust(coverage: Sequence[Coverage]) -> Trust:
    """Compare each level with what was seen; the interval of the share must exclude it."""
    if coverage[0].count < LEAST_PREDICTED:
        return Trust.TOO_EARLY
    if _narrow(coverage):
        return Trust.NARROW
    return Trust.WIDE if _wide(coverage) else Trust.HOLDS


def _narrow(coverage: Sequence[Coverage]) -> list[Coverage]:
    return [seen for seen in coverage if seen.high < seen.level]


def _wide(coverage: Sequence[Coverage]) -> list[Coverage]:
    """The outermost level is left out: few results lie beyond it anyway."""
    return [seen for seen in coverage[:-1] if seen.low > seen.level]


def _summary(trust: Trust, coverage: Sequence[Coverage], ranks: Correlation | None) -> str:
    if trust is Trust.TOO_EARLY:
        known = f"{coverage[0].count} predicted results"
        return f"Too early to say: {known}, {LEAST_PREDICTED} are needed."
    shown = [*_narrow(coverage), *_wide(coverage), coverage[1]][0]
    say = {
        Trust.HOLDS: "The predicted intervals hold",
        Trust.NARROW: "The predicted intervals are too narrow",
        Trust.WIDE: "The predicted intervals are wider than need be",
    }
    seen = f"{shown.inside} of {shown.count} results fell into their {100 * shown.level:.0f} %"
    return f"{say[trust]}: {seen} intervals. {_ranking(ranks)}"


def _left_out(judged: int) -> str:
    return f" The latest {SHOWN:,} of {judged:,} are shown." if judged > SHOWN else ""


def _unkept(judged: Sequence[Result]) -> str:
    unkept = sum(one.noise is None for one in judged)
    if not unkept:
        return ""
    return f" With {unkept:,} of them no noise was kept: they are judged by today's."


def _ranking(ranks: Correlation | None) -> str:
    if ranks is None:
        return "Whether the model ranks trials cannot be told."
    figures = f"Spearman {ranks.value:.2f}, 95 % interval {ranks.low:.2f} to {ranks.high:.2f}"
    if ranks.low > 0.0:
        return f"The model ranks trials better than chance ({figures})."
    return (
        f"That the model ranks trials better than chance is not shown ({figures}); trials that "
        "are all about equally good cannot be ranked."
    )
