"""Recoveries: what the verdict at the whole recipe runs, and what it says.

The winner was chosen on other data and other seeds, so nothing of the choice enters the interval.
It is one look, of as many pairs as were asked for, and stands for itself beside that of the trials.
"""

from collections.abc import Sequence

import numpy as np

from perfmodel.evidence.comparison import MISSING, Pairs
from perfmodel.evidence.looks import error_after
from perfmodel.evidence.scores import Run, Scores, paired
from rankspace import RankVector, Verdict
from rankspace.verdict import RecipeVerdict, RecoveredPair


def recoveries(verdict: Verdict, seeds: Sequence[int]) -> tuple[Run, ...]:
    """Both vectors on each seed, and the pruned model as it is; nothing if they are the same."""
    winner, uniform = verdict.best_rank_vector, verdict.uniform_rank_vector
    if winner == uniform:
        return ()
    pairs = (Run(vector, seed) for seed in seeds for vector in (winner, uniform))
    return tuple(dict.fromkeys((*pairs, Run(_untouched(uniform), seeds[0]))))


def recipe_verdict(
    verdict: Verdict,
    scores: Scores,
    seeds: Sequence[int],
    looks: int = 0,
    least_gain: float | None = None,
) -> RecipeVerdict:
    """Judge the ``recoveries``, once all of them are over.

    Args:
        verdict: Of the trials.
        scores: Of the recoveries; one that is missing failed.
        seeds: Of the pairs.
        looks: Answers before this verification, each of which halves what it may err.
        least_gain: As ``verify.least_gain``.
    """
    winner, uniform = verdict.best_rank_vector, verdict.uniform_rank_vector
    pairs = paired(winner, uniform, scores, seeds)
    comparison = pairs.compare(1.0 - error_after(looks), least_gain)
    best, base = _means(pairs)
    pruned = scores.get(Run(_untouched(uniform), seeds[0]), MISSING).value
    return RecipeVerdict(comparison, _told(pairs, seeds), base, best, pruned)


def _untouched(vector: RankVector) -> RankVector:
    """No adapter anywhere."""
    return RankVector((0,) * len(vector.ranks))


def _told(pairs: Pairs, seeds: Sequence[int]) -> tuple[RecoveredPair, ...]:
    both = zip(seeds, pairs.rivals, pairs.scores, strict=True)
    return tuple(RecoveredPair(seed, base.value, best.value) for seed, base, best in both)


def _means(pairs: Pairs) -> tuple[float | None, float | None]:
    """Of the vector and of its rival, over the seeds on which both scored."""
    if not pairs.complete:
        return None, None
    best, base = np.mean(pairs.complete, axis=0)
    return float(best), float(base)
