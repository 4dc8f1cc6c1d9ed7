"""The verification plan: which trials are still to run, or what may be claimed.

Rounds of one fresh seed each; all arms of a round train with the same seed and data order, so
their differences are paired. The first ``CHOOSING_SEEDS`` rounds run every candidate and choose
the winner, and among random vectors the one it has to beat; nothing of them enters an interval, so
nobody was chosen by the numbers it is judged by. Later rounds run the winner, uniform, and the
other arms. ``evidence.looks`` says when to look, ``evidence.judging`` what that allows to claim.
Everything is a function of the finished trials, so it can be asked again at any time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from perfmodel.evidence.arms import Arms, Controls, distinct
from perfmodel.evidence.fresh_seeds import FreshSeeds
from perfmodel.evidence.judging import Chosen, Judging
from perfmodel.evidence.looks import Look, error_after, looks_at
from perfmodel.evidence.scores import Run, Scored, Scores, missing, paired, scores_of
from rankspace import RankVector, SearchSpace, Verdict
from rankspace.cached import cached_property
from rankspace.front import Checked
from rankspace.study import Verify

__all__ = ["Arms", "Controls", "Run", "Scored", "checked", "next_step"]

NO_CONTROLS = Controls()


def next_step(  # noqa: PLR0913  # the caller knows each of them from elsewhere
    arms: Arms,
    scored: Sequence[Scored],
    verify: Verify,
    seeds: FreshSeeds,
    *,
    space: SearchSpace,
    trials: int,
    controls: Controls = NO_CONTROLS,
) -> tuple[Run, ...] | Verdict:
    """Return the trials the current round still needs, or the verdict.

    Args:
        arms: What is verified; must not change while the verification runs.
        scored: Every verification trial that is finished, in any order.
        verify: Seeds before the first look, trials in all, and what counts as a difference.
        seeds: Of the rounds. No search trial may have used them.
        space: For the parameter counts.
        trials: Search trials that were finished, for the verdict.
        controls: What runs beside the arms; must not change either.

    Raises:
        TrialFailed: The budget is spent and fewer than two rounds scored both the winner and
            uniform.
    """
    found = _Verification(arms, controls, verify, seeds, scores_of(scored))
    if found.to_choose:
        return found.to_choose
    look = found.ended
    if look is None:
        return found.to_judge
    judging = found.at(look)
    return judging.beside or judging.verdict(space, trials)


def checked(  # likewise
    arms: Arms,
    scored: Sequence[Scored],
    verify: Verify,
    seeds: FreshSeeds,
    space: SearchSpace,
    controls: Controls = NO_CONTROLS,
) -> tuple[Checked, ...] | None:
    """Say what has become of the promises: the winner's, then the economy vector's.

    With the interval of the last look that was reached: so it agrees with the verdict, and is no
    look of its own. None before the first one. The arguments are those of ``next_step``.
    """
    found = _Verification(arms, controls, verify, seeds, scores_of(scored))
    if found.to_choose or not found.reached:
        return None
    return found.at(found.reached[-1]).checked(space)


@dataclass(frozen=True)
class _Verification:
    """The rounds there are and those to come."""

    arms: Arms
    controls: Controls
    verify: Verify
    seeds: FreshSeeds
    scores: Scores

    @cached_property
    def to_choose(self) -> tuple[Run, ...]:
        """What the first choosing round that is not finished lacks."""
        vectors = distinct((*self.arms.choosing, *self.controls.random))
        rounds = (missing(vectors, seed, self.scores) for seed in self.seeds.choosing)
        return next((found for found in rounds if found), ())

    @cached_property
    def chosen(self) -> Chosen:
        uniform = self.arms.uniform
        randoms = distinct((self.arms.random, *self.controls.random))
        random = self._choose(randoms, uniform) if randoms else None
        return Chosen(self._choose(self.arms.candidates, uniform), random)

    @cached_property
    def plan(self) -> tuple[Look, ...]:
        judging = self.arms.judging(self.chosen.winner, self.chosen.random)
        rounds = self.verify.look_rounds(len(self.arms.choosing), len(judging))
        return looks_at(rounds, error_after(self.seeds.looks))

    @cached_property
    def done(self) -> int:
        """How many judging rounds all arms have run, up to the first that some have not."""
        seeds = self.seeds.judging(self.plan[-1].rounds)
        lacking = (at for at, seed in enumerate(seeds) if self._lacks(seed))
        return next(lacking, len(seeds))

    @property
    def reached(self) -> list[Look]:
        return [look for look in self.plan if look.rounds <= self.done]

    @property
    def ended(self) -> Look | None:
        """The look that ends it, if it is reached."""
        decided = (look for look in self.reached if self.at(look).is_decided)
        is_spent = self.done == self.plan[-1].rounds
        return next(decided, self.plan[-1] if is_spent else None)

    @property
    def to_judge(self) -> tuple[Run, ...]:
        """What the round that is not finished lacks."""
        return self._lacks(self.seeds.judging(self.done + 1)[-1])

    def at(self, look: Look) -> Judging:
        return Judging(
            arms=self.arms,
            controls=self.controls,
            verify=self.verify,
            chosen=self.chosen,
            scores=self.scores,
            seeds=self.seeds.judging(look.rounds),
            controlled=self.seeds.judging(self.plan[0].rounds),
            earlier=self.seeds.choosing,
            look=look,
        )

    def _lacks(self, seed: int) -> tuple[Run, ...]:
        judging = self.arms.judging(self.chosen.winner, self.chosen.random)
        return missing(judging, seed, self.scores)

    def _choose(self, candidates: Sequence[RankVector], uniform: RankVector) -> RankVector:
        """Return who failed least, then leads uniform most; the earlier one on a tie."""

        def rank(candidate: RankVector) -> tuple[int, float]:
            pairs = paired(candidate, uniform, self.scores, self.seeds.choosing)
            lead = float(np.mean(pairs.differences)) if pairs.complete else -np.inf
            return -pairs.failures, lead

        return max(candidates, key=rank)
