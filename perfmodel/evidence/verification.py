"""The verification plan: which trials are still to run, or what may be claimed.

Rounds of one fresh seed each; all arms of a round train with the same seed and data order, so
their differences are paired. The first ``CHOOSING_SEEDS`` rounds run every candidate and choose
the winner; nothing of them enters an interval, so the winner was not chosen by the numbers it is
judged by. Later rounds run the winner, uniform, and the other arms. ``evidence.looks`` says when to
look. Everything is a function of the finished trials, so it can be asked again at any time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from perfmodel.evidence.comparison import LEAST_PAIRS, Pairs
from perfmodel.evidence.looks import Look, plan_looks
from rankspace import Comparison, RankVector, SearchSpace, Verdict
from rankspace.errors import TrialFailed
from rankspace.study import CHOOSING_SEEDS, Verify
from rankspace.verdict import Answer

Scores: TypeAlias = Mapping[tuple[RankVector, int], float | None]


@dataclass(frozen=True)
class Arms:
    """What is verified; equal vectors are one arm and run once.

    Attributes:
        candidates: The search's leaders, best predicted first, at least one.
        uniform: The baseline.
        economy: A cheaper vector predicted to equal uniform, or None.
        random: The best vector of the random control, or None.
    """

    candidates: tuple[RankVector, ...]
    uniform: RankVector
    economy: RankVector | None = None
    random: RankVector | None = None

    @property
    def choosing(self) -> tuple[RankVector, ...]:
        """Arms of a choosing round."""
        return _distinct((*self.candidates, self.uniform, self.economy, self.random))

    def judging(self, winner: RankVector) -> tuple[RankVector, ...]:
        """Arms of a later round."""
        return _distinct((winner, self.uniform, self.economy, self.random))


@dataclass(frozen=True)
class Scored:
    """One finished verification trial; ``score`` is None when it failed."""

    rank_vector: RankVector
    seed: int
    score: float | None


def next_step(
    arms: Arms,
    scored: Sequence[Scored],
    verify: Verify,
    first_seed: int,
    *,
    space: SearchSpace,
    trials: int,
) -> tuple[tuple[RankVector, int], ...] | Verdict:
    """Return the trials the current round still needs, or the verdict.

    Args:
        arms: What is verified; must not change while the verification runs.
        scored: Every verification trial that is finished, in any order.
        verify: Seeds before the first look, and trials in all.
        first_seed: Seed of the first round; later rounds count up from it. No search trial may
            have used these seeds.
        space: For the parameter counts.
        trials: Search trials that were finished, for the verdict.

    Raises:
        TrialFailed: The budget is spent and fewer than two rounds scored both the winner and
            uniform.
    """
    scores: Scores = {(trial.rank_vector, trial.seed): trial.score for trial in scored}
    for seed in range(first_seed, first_seed + CHOOSING_SEEDS):
        missing = _missing(arms.choosing, seed, scores)
        if missing:
            return missing
    winner = _choose(arms, scores, first_seed)
    judging = arms.judging(winner)
    start = first_seed + CHOOSING_SEEDS
    looks = plan_looks(verify.seeds, affordable_rounds(arms, winner, verify))
    for seed in range(start, start + looks[-1].rounds):
        done = seed - start
        reached = [look for look in looks if look.rounds == done]
        pairs = _Rounds(arms, winner, scores, range(start, seed))
        if reached and pairs.decided(reached[0]):
            return pairs.verdict(reached[0], space, trials)
        missing = _missing(judging, seed, scores)
        if missing:
            return missing
    pairs = _Rounds(arms, winner, scores, range(start, start + looks[-1].rounds))
    return pairs.verdict(looks[-1], space, trials)


def affordable_rounds(arms: Arms, winner: RankVector, verify: Verify) -> int:
    """Rounds after choosing that ``verify.max_trials`` pays for."""
    left = verify.max_trials - CHOOSING_SEEDS * len(arms.choosing)
    return max(0, left // len(arms.judging(winner)))


def _choose(arms: Arms, scores: Scores, first_seed: int) -> RankVector:
    """Return the candidate that failed least, then leads uniform most; the earlier one on a tie."""
    seeds = range(first_seed, first_seed + CHOOSING_SEEDS)

    def rank(candidate: RankVector) -> tuple[int, float]:
        pairs = _paired(candidate, arms.uniform, scores, seeds)
        lead = float(np.mean(pairs.differences)) if pairs.complete else -np.inf
        return -pairs.scores.count(None), lead

    return max(arms.candidates, key=rank)


@dataclass(frozen=True)
class _Rounds:
    """The finished rounds after choosing."""

    arms: Arms
    winner: RankVector
    scores: Scores
    seeds: range

    def decided(self, look: Look) -> bool:
        """Whether this look ends it: the answer is there, or ``better`` can no longer be."""
        if self.winner == self.arms.uniform:
            return True
        pairs = self._pairs(self.winner, self.arms.uniform)
        if len(pairs.complete) < LEAST_PAIRS:
            return False
        found = pairs.compare(look.confidence)
        claimed = found is not None and found.answer is not Answer.NO_DIFFERENCE_SHOWN
        return claimed or pairs.forfeits[0] > 0

    def verdict(self, look: Look, space: SearchSpace, trials: int) -> Verdict:
        """Say what this look allows to claim."""
        winner, uniform = self.winner, self.arms.uniform
        versus = self._main(look)
        margin = float(np.std(self._pairs(winner, uniform).differences, ddof=1))
        cheapest = self._cheapest(look, margin, space)
        best, base = np.mean(self._pairs(winner, uniform).complete, axis=0).tolist()
        return Verdict(
            answer=versus.answer,
            versus_uniform=versus,
            best_rank_vector=winner,
            best_score=best,
            best_parameters=space.parameters(winner),
            uniform_rank_vector=uniform,
            uniform_score=base,
            uniform_parameters=space.parameters(uniform),
            versus_random=self._versus(winner, self.arms.random, look),
            cheapest_rank_vector=cheapest,
            cheapest_parameters=space.parameters(cheapest),
            versus_uniform_cheapest=(
                None if cheapest == uniform else self._versus(cheapest, uniform, look)
            ),
            margin=margin,
            trials=trials,
        )

    def _main(self, look: Look) -> Comparison:
        """The winner against uniform; zero by definition when they are the same vector."""
        pairs = self._pairs(self.winner, self.arms.uniform)
        found = pairs.compare(look.confidence)
        if found is None:
            raise TrialFailed(
                f"only {len(pairs.complete)} of {len(self.seeds)} verification rounds scored both "
                "the winner and uniform: no comparison is possible",
                hint="see why the trials failed, then verify again with a larger max_trials",
            )
        return found

    def _versus(
        self, vector: RankVector, rival: RankVector | None, look: Look
    ) -> Comparison | None:
        """Compare; None where there is no rival, or too much failed."""
        return None if rival is None else self._pairs(vector, rival).compare(look.confidence)

    def _cheapest(self, look: Look, margin: float, space: SearchSpace) -> RankVector:
        """Return the cheapest arm that is shown to lose no more than the margin."""

        def passes(vector: RankVector) -> bool:
            pairs = self._pairs(vector, self.arms.uniform)
            found = pairs.compare(look.confidence)
            return (
                found is not None
                and found.seeds >= LEAST_PAIRS
                and found.ci_low >= -margin
                and found.answer is not Answer.WORSE
                and pairs.forfeits[0] == 0
            )

        passed = [vector for vector in self.arms.judging(self.winner) if passes(vector)]
        return min([self.arms.uniform, *passed], key=space.parameters)

    def _pairs(self, vector: RankVector, rival: RankVector) -> Pairs:
        return _paired(vector, rival, self.scores, self.seeds)


def _paired(vector: RankVector, rival: RankVector, scores: Scores, seeds: range) -> Pairs:
    return Pairs(
        tuple(scores.get((vector, seed)) for seed in seeds),
        tuple(scores.get((rival, seed)) for seed in seeds),
    )


def _missing(
    arms: Sequence[RankVector], seed: int, scores: Scores
) -> tuple[tuple[RankVector, int], ...]:
    return tuple((vector, seed) for vector in arms if (vector, seed) not in scores)


def _distinct(vectors: Sequence[RankVector | None]) -> tuple[RankVector, ...]:
    return tuple(dict.fromkeys(vector for vector in vectors if vector is not None))
