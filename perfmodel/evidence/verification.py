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
from perfmodel.evidence.looks import Look, error_after, plan_looks
from rankspace import Comparison, RankVector, SearchSpace, Verdict
from rankspace.errors import TrialFailed
from rankspace.front import Checked, Finding, Promise
from rankspace.study import CHOOSING_SEEDS, Verify
from rankspace.verdict import Answer

Scores: TypeAlias = Mapping[tuple[RankVector, int], float | None]

LEAST_LOST = 5
"""Fresh seeds that refute a vector which is worse than uniform on all of them, whatever the
interval: of vectors as good as uniform that happens to one in 32."""


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

    def promised(self, winner: RankVector) -> tuple[RankVector, ...]:
        """Arms of which the model promises something."""
        found = _distinct((winner, self.economy))
        return tuple(vector for vector in found if vector != self.uniform)


@dataclass(frozen=True)
class Scored:
    """One finished verification trial; ``score`` is None when it failed."""

    rank_vector: RankVector
    seed: int
    score: float | None


def next_step(  # noqa: PLR0913  # the caller knows each of them from elsewhere
    arms: Arms,
    scored: Sequence[Scored],
    verify: Verify,
    first_seed: int,
    *,
    space: SearchSpace,
    trials: int,
    looks: int = 0,
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
        looks: Answers before this one; each has its own first seed.

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
    affordable = affordable_rounds(arms, winner, verify)
    plan = plan_looks(verify.seeds, affordable, error_after(looks))
    for seed in range(start, start + plan[-1].rounds):
        done = seed - start
        reached = [look for look in plan if look.rounds == done]
        pairs = _Rounds(arms, winner, scores, range(start, seed))
        if reached and pairs.decided(reached[0]):
            return pairs.verdict(reached[0], space, trials)
        missing = _missing(judging, seed, scores)
        if missing:
            return missing
    pairs = _Rounds(arms, winner, scores, range(start, start + plan[-1].rounds))
    return pairs.verdict(plan[-1], space, trials)


def checked(
    arms: Arms,
    scored: Sequence[Scored],
    verify: Verify,
    first_seed: int,
    space: SearchSpace,
    looks: int = 0,
) -> tuple[Checked, ...] | None:
    """Say what has become of the promises: the winner's, then the economy vector's.

    With the interval of the last look that was reached: so it agrees with the verdict, and is no
    look of its own. None before the first one. The arguments are those of ``next_step``.
    """
    scores: Scores = {(trial.rank_vector, trial.seed): trial.score for trial in scored}
    start = first_seed + CHOOSING_SEEDS
    if any(_missing(arms.choosing, seed, scores) for seed in range(first_seed, start)):
        return None
    winner = _choose(arms, scores, first_seed)
    affordable = affordable_rounds(arms, winner, verify)
    plan = plan_looks(verify.seeds, affordable, error_after(looks))
    done = _complete(arms.judging(winner), range(start, start + plan[-1].rounds), scores)
    reached = [look for look in plan if look.rounds <= done]
    if not reached:
        return None
    rounds = _Rounds(arms, winner, scores, range(start, start + reached[-1].rounds))
    found = (rounds.checked(vector, reached[-1], space) for vector in arms.promised(winner))
    return tuple(one for one in found if one is not None)


def _complete(arms: Sequence[RankVector], seeds: range, scores: Scores) -> int:
    """How many of ``seeds`` all arms have run on, up to the first that some have not."""
    return next((at for at, seed in enumerate(seeds) if _missing(arms, seed, scores)), len(seeds))


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
        cheapest = self._cheapest(look, space)
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
            margin=self.margin,
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

    def checked(self, vector: RankVector, look: Look, space: SearchSpace) -> Checked | None:
        """What this look says of the promise of ``vector``; None where too much failed."""
        found = self._versus(vector, self.arms.uniform, look)
        if found is None:
            return None
        promise = Promise.ENOUGH if vector == self.arms.economy else Promise.BETTER
        finding = self._finding(vector, promise, found, look)
        return Checked(vector, space.parameters(vector), promise, found, finding)

    def _finding(
        self, vector: RankVector, promise: Promise, found: Comparison, look: Look
    ) -> Finding:
        is_enough = self._is_enough(vector, look)
        if found.answer is Answer.WORSE or (not is_enough and self._loses_always(vector)):
            return Finding.REFUTED
        is_kept = found.answer is Answer.BETTER or (promise is Promise.ENOUGH and is_enough)
        return Finding.CONFIRMED if is_kept else Finding.OPEN

    def _loses_always(self, vector: RankVector) -> bool:
        """Whether it was worse on every seed, those included that chose the winner."""
        seeds = range(self.seeds.start - CHOOSING_SEEDS, self.seeds.stop)
        differences = _paired(vector, self.arms.uniform, self.scores, seeds).differences
        return len(differences) >= LEAST_LOST and max(differences) < 0.0

    @property
    def margin(self) -> float:
        """Loss that still counts as not worse: what one pair of runs cannot tell from zero."""
        differences = self._pairs(self.winner, self.arms.uniform).differences
        return float(np.std(differences, ddof=1)) if len(differences) > 1 else 0.0

    def _is_enough(self, vector: RankVector, look: Look) -> bool:
        """Whether ``vector`` is shown to lose no more than the margin."""
        pairs = self._pairs(vector, self.arms.uniform)
        found = pairs.compare(look.confidence)
        return (
            found is not None
            and found.seeds >= LEAST_PAIRS
            and found.ci_low >= -self.margin
            and found.answer is not Answer.WORSE
            and pairs.forfeits[0] == 0
        )

    def _cheapest(self, look: Look, space: SearchSpace) -> RankVector:
        """Return the cheapest arm that is shown to lose no more than the margin."""
        judged = self.arms.judging(self.winner)
        passed = [vector for vector in judged if self._is_enough(vector, look)]
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
