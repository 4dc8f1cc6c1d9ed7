"""What a verification ran: each run once, and what it scored."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from perfmodel.evidence.comparison import MISSING, Pairs, Score
from rankspace import RankVector
from rankspace.observation import TextLosses


@dataclass(frozen=True)
class Run:
    """A vector, the seed it runs with, and a factor on the recipe's learning rate."""

    rank_vector: RankVector
    seed: int
    rate: float = 1.0


@dataclass(frozen=True)
class Scored:
    """One finished verification trial; ``score`` is None when it failed."""

    rank_vector: RankVector
    seed: int
    score: float | None
    texts: TextLosses | None = None
    rate: float = 1.0


Scores: TypeAlias = Mapping[Run, Score]


def scores_of(scored: Sequence[Scored]) -> Scores:
    return {Run(one.rank_vector, one.seed, one.rate): Score(one.score, one.texts) for one in scored}


def missing(
    vectors: Iterable[RankVector], seed: int, scores: Scores, rate: float = 1.0
) -> tuple[Run, ...]:
    """Runs of ``vectors`` on ``seed`` that are not finished."""
    wanted = (Run(vector, seed, rate) for vector in vectors)
    return tuple(run for run in wanted if run not in scores)


def paired(vector: RankVector, rival: RankVector, scores: Scores, seeds: Sequence[int]) -> Pairs:
    return Pairs(
        tuple(scores.get(Run(vector, seed), MISSING) for seed in seeds),
        tuple(scores.get(Run(rival, seed), MISSING) for seed in seeds),
    )
