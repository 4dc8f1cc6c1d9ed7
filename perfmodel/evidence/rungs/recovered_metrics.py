"""What recovered models score on published metrics: values, and the winner against uniform ranks.

Every model was measured on the same documents, and on the same seeds where the whole recipe is
judged. So a value is a mean over both, and its error allows for either: documents are another draw
of questions, seeds another training. The two are added, which counts what hangs on both twice: it
is rather too large than too small. Nothing is claimed of these: that is the verdict's.
"""

import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.arrays import Floats
from rankspace import RankVector
from rankspace.evaluation.metric_score import MetricScore
from rankspace.evaluation.recovered import RecoveredDifference, RecoveredMetric, RecoveredScore
from rankspace.evaluation.recovery_metric import RecoveryMetric

WINNER, UNIFORM = "winner", "uniform"

MOST_LOSS = math.log(sys.float_info.max)
"""Nats; of more, the perplexity is no float64."""


@dataclass(frozen=True)
class Evaluated:
    """One finished recovery; ``scores`` has one for each metric, none if it was not asked."""

    rank_vector: RankVector
    seed: int
    scores: tuple[MetricScore, ...]


def recovered_metrics(
    asked: Sequence[RecoveryMetric],
    evaluated: Sequence[Evaluated],
    models: Mapping[str, RankVector],
) -> tuple[RecoveredMetric, ...]:
    """Sum up what was measured, metric by metric.

    Args:
        asked: By the study.
        evaluated: Its recoveries; where one ran again on its seed, the first measured counts.
        models: Vectors to show, by what they are called.
    """
    told = [one for one in evaluated if len(one.scores) == len(asked)]
    return tuple(_metric(at, metric, told, models) for at, metric in enumerate(asked))


def _metric(
    at: int,
    metric: RecoveryMetric,
    evaluated: Sequence[Evaluated],
    models: Mapping[str, RankVector],
) -> RecoveredMetric:
    by_model = {name: _by_seed(at, evaluated, vector) for name, vector in models.items()}
    every = [score for found in by_model.values() for score in found.values() if score.counts]
    usual = _usual(every)
    same = {
        name: {seed: score for seed, score in found.items() if score.emptied == usual}
        for name, found in by_model.items()
    }
    winner, uniform = same.get(WINNER, {}), same.get(UNIFORM, {})
    difference = _difference(winner, uniform)
    return RecoveredMetric(
        metric=metric,
        title=metric.title,
        name=usual.name if usual else None,
        documents=usual.documents if usual else 0,
        total=usual.total if usual else 0,
        groups=len(usual.counts) if usual else 0,
        scores=tuple(_score(name, same[name], by_model[name]) for name in models if by_model[name]),
        difference=difference,
        remark=" ".join(_remarks(metric, usual, by_model, difference)),
    )


def _usual(scores: Sequence[MetricScore]) -> MetricScore | None:
    """What most were measured on; of as many, the first. One odd report is left out, not all."""
    counted = Counter(one.emptied for one in scores).most_common(1)
    return counted[0][0] if counted else None


def _by_seed(
    at: int, evaluated: Sequence[Evaluated], vector: RankVector
) -> Mapping[int, MetricScore]:
    found: dict[int, MetricScore] = {}
    for one in evaluated:
        score = one.scores[at]
        if one.rank_vector == vector:
            before = found.setdefault(one.seed, score)
            if not before.counts and score.counts:
                found[one.seed] = score
    return found


def _score(
    model: str, same: Mapping[int, MetricScore], there: Mapping[int, MetricScore]
) -> RecoveredScore:
    failures = tuple(dict.fromkeys(one.failure for one in there.values() if one.failure))
    if not same:
        return RecoveredScore(model, None, None, 0, failures=failures)
    scores = [*same.values()]
    is_text = scores[0].name == "perplexity"
    sums, counts = _table(scores)
    mean, error = _mean_over(sums, counts)
    by_seed = (sums.sum(axis=1) / counts.sum()).tolist()
    if not is_text:
        return RecoveredScore(model, mean, error, len(scores), tuple(by_seed), failures)
    value, spread = _perplexity(mean), None
    if value is not None and error is not None:
        spread = value * error if math.isfinite(value * error) else None
    return RecoveredScore(
        model, value, spread, len(scores), tuple(map(_perplexity, by_seed)), failures
    )


def _perplexity(loss: float) -> float | None:
    return math.exp(loss) if loss <= MOST_LOSS else None


def _difference(
    winner: Mapping[int, MetricScore], uniform: Mapping[int, MetricScore]
) -> RecoveredDifference | None:
    """Of the seeds on which both were measured; None without any."""
    seeds = [seed for seed in winner if seed in uniform]
    if not seeds:
        return None
    ours, theirs = [winner[seed] for seed in seeds], [uniform[seed] for seed in seeds]
    (best, counts), (base, _) = _table(ours), _table(theirs)
    mean, error = _mean_over(best - base, counts)
    by_seed = ((best - base).sum(axis=1) / counts.sum()).tolist()
    margin, margin_error = None, None
    if ours[0].margins:
        lead = np.array([one.margins for one in ours]) - [one.margins for one in theirs]
        margin, margin_error = _mean_over(lead, counts)
    return RecoveredDifference(mean, error, len(seeds), tuple(by_seed), margin, margin_error)


def _table(scores: Sequence[MetricScore]) -> tuple[Floats, Floats]:
    """Sums, ``(seeds, groups)``, and documents, ``(groups,)``, of scores on the same documents."""
    return np.array([one.sums for one in scores]), np.array(scores[0].counts, dtype=np.float64)


def _mean_over(sums: Floats, counts: Floats) -> tuple[float, float | None]:
    """The mean per document and its standard error, over documents and seeds.

    Groups of unequal size count by it: the error is that of a ratio (Cochran 1977, 6.3).
    """
    total, (seeds, groups) = counts.sum(), sums.shape
    together = sums.mean(axis=0)
    mean = float(together.sum() / total)
    if groups < 2:
        return mean, None
    squares = float(((together - mean * counts) ** 2).sum())
    by_document = math.sqrt(groups / (groups - 1) * squares) / total
    if seeds < 2:
        return mean, float(by_document)
    by_seed = float((sums.sum(axis=1) / total).std(ddof=1)) / math.sqrt(seeds)
    return mean, math.hypot(by_document, by_seed)


def _remarks(
    metric: RecoveryMetric,
    usual: MetricScore | None,
    there: Mapping[str, Mapping[int, MetricScore]],
    difference: RecoveredDifference | None,
) -> Iterator[str]:
    if usual is None:
        failed = sum(map(len, there.values()))
        none = f"Nothing could be measured: {failed} recoveries failed on it."
        yield none if failed else "Nothing was measured yet."
        return
    every = [score for found in there.values() for score in found.values() if score.counts]
    if others := sum(one.emptied != usual for one in every):
        yield f"{others} recoveries were measured on another file, or read otherwise: left out."
    if difference is None:
        yield (
            "The winner is uniform ranks themselves."
            if WINNER not in there
            else "No seed has both the winner and uniform ranks: nothing is compared."
        )
    elif difference.seeds < (seeds := len({*there[WINNER], *there[UNIFORM]})):
        yield f"The difference is of {difference.seeds} of {seeds} seeds: the others have no pair."
    yield from _of_the_file(metric, usual)


def _of_the_file(metric: RecoveryMetric, usual: MetricScore) -> Iterator[str]:
    if usual.documents < usual.total:
        what = "windows" if metric.task is None else "documents"
        yield f"The first {usual.documents:,} of {usual.total:,} {what}."
    if usual.dropped:
        yield f"{usual.dropped:,} tokens after the last whole window are left out."
    if usual.cut:
        yield f"{usual.cut:,} contexts lost their beginning, longer than the model."
    if usual.control:
        yield f"The text spells {usual.control:,} control tokens, which count as such."
