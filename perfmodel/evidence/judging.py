"""Judging: what the finished rounds after the choice allow to claim at a look."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from perfmodel.evidence.arms import Arms, Controls, distinct
from perfmodel.evidence.comparison import MISSING, Pairs
from perfmodel.evidence.looks import Look
from perfmodel.evidence.rates import rates_found
from perfmodel.evidence.scores import Run, Scores, missing, paired
from rankspace import Comparison, RankVector, SearchSpace, Verdict
from rankspace.cached import cached_property
from rankspace.errors import TrialFailed
from rankspace.front import Checked, Finding, Promise
from rankspace.study import Verify
from rankspace.verdict import LEAST_PAIRS, Answer, Controlled, RatePoint, Rates

LEAST_LOST = 5
"""Fresh seeds that refute a vector which is worse than uniform on all of them, whatever the
interval: of vectors as good as uniform that happens to one in 32."""


@dataclass(frozen=True)
class Chosen:
    """Who came out of the choosing rounds: the winner, and the random vector it has to beat."""

    winner: RankVector
    random: RankVector | None


@dataclass(frozen=True)
class Judging:
    """The finished rounds after choosing, at one look.

    Attributes:
        arms: What is verified.
        controls: What ran beside.
        verify: The margin, and the least relevant gain.
        chosen: Whom the rounds before chose.
        scores: Of all runs.
        seeds: Of the rounds up to the look.
        controlled: Those of them that the controls run on too.
        earlier: Seeds of the choosing rounds.
        look: The look.
    """

    arms: Arms
    controls: Controls
    verify: Verify
    chosen: Chosen
    scores: Scores
    seeds: Sequence[int]
    controlled: Sequence[int]
    earlier: Sequence[int]
    look: Look

    @property
    def is_decided(self) -> bool:
        """Whether this look ends it: the answer is there, or ``better`` can no longer be."""
        if self._is_uniform:
            return True
        pairs = self._pairs(self.chosen.winner, self.arms.uniform)
        if len(pairs.complete) < LEAST_PAIRS:
            return False
        found = self._compared(pairs)
        claimed = found is not None and found.answer is not Answer.NO_DIFFERENCE_SHOWN
        return claimed or pairs.forfeits[0] > 0

    def verdict(self, space: SearchSpace, trials: int) -> Verdict:
        """Say what this look allows to claim.

        Raises:
            TrialFailed: Fewer than two rounds scored both the winner and uniform.
        """
        winner, uniform = self.chosen.winner, self.arms.uniform
        versus, cheapest = self._main, self._cheapest(space)
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
            versus_random=self._versus_random,
            cheapest_rank_vector=cheapest,
            cheapest_parameters=space.parameters(cheapest),
            versus_uniform_cheapest=(
                None if cheapest == uniform else self._versus(cheapest, uniform)
            ),
            margin=self.verify.margin,
            trials=trials,
            luck=self.controls.luck,
            controls=tuple(self._controlled(space)),
            rates=self._rates,
        )

    @property
    def beside(self) -> tuple[Run, ...]:
        """What the controls and the other rates still have to run."""
        vectors = distinct(tuple(self.controls.vectors.values()))
        rounds = (missing(vectors, seed, self.scores) for seed in self.controlled)
        return (*(run for found in rounds for run in found), *self._at_rates)

    @property
    def _at_rates(self) -> Iterator[Run]:
        if self._is_uniform:
            return
        both = (self.arms.uniform, self.chosen.winner)
        for rate in self.controls.rates:
            yield from missing(both, self.seeds[0], self.scores, rate)

    @property
    def _is_uniform(self) -> bool:
        return self.chosen.winner == self.arms.uniform

    def _controlled(self, space: SearchSpace) -> Iterator[Controlled]:
        for name, vector in self.controls.vectors.items():
            pairs = paired(self.chosen.winner, vector, self.scores, self.controlled)
            yield Controlled(name, vector, space.parameters(vector), self._compared(pairs))

    @property
    def _rates(self) -> Rates | None:
        """The other rates, and the recipe's own on the same seed."""
        if self._is_uniform or not self.controls.rates:
            return None
        points = (self._point(rate) for rate in sorted((1.0, *self.controls.rates)))
        pairs = self._pairs(self.chosen.winner, self.arms.uniform)
        return rates_found(tuple(points), pairs.differences)

    def _point(self, rate: float) -> RatePoint:
        both = (self.arms.uniform, self.chosen.winner)
        runs = [Run(vector, self.seeds[0], rate) for vector in both]
        uniform, winner = (self.scores.get(run, MISSING).value for run in runs)
        return RatePoint(rate, uniform, winner)

    def checked(self, space: SearchSpace) -> tuple[Checked, ...]:
        """What this look says of the promises, where not too much failed."""
        promised = self.arms.promised(self.chosen.winner)
        found = (self._checked(vector, space) for vector in promised)
        return tuple(one for one in found if one is not None)

    @cached_property
    def _main(self) -> Comparison:
        """The winner against uniform; zero by definition when they are the same vector."""
        pairs = self._pairs(self.chosen.winner, self.arms.uniform)
        found = self._compared(pairs)
        if found is None:
            raise TrialFailed(
                f"only {len(pairs.complete)} of {len(self.seeds)} verification rounds scored both "
                "the winner and uniform: no comparison is possible",
                hint="see why the trials failed, then verify again with a larger max_trials",
            )
        return found

    @property
    def _versus_random(self) -> Comparison | None:
        """The winner against the chosen random vector; ``better`` only beyond luck."""
        found = self._versus(self.chosen.winner, self.chosen.random)
        if found is None or found.answer is not Answer.BETTER or found.ci_low > self.controls.luck:
            return found
        return replace(found, answer=Answer.NO_DIFFERENCE_SHOWN)

    def _checked(self, vector: RankVector, space: SearchSpace) -> Checked | None:
        found = self._versus(vector, self.arms.uniform)
        if found is None:
            return None
        promise = Promise.ENOUGH if vector == self.arms.economy else Promise.BETTER
        finding = self._finding(vector, promise, found)
        return Checked(vector, space.parameters(vector), promise, found, finding)

    def _finding(self, vector: RankVector, promise: Promise, found: Comparison) -> Finding:
        is_enough = self._is_enough(vector)
        if found.answer is Answer.WORSE or (not is_enough and self._loses_always(vector)):
            return Finding.REFUTED
        is_kept = found.answer is Answer.BETTER or (promise is Promise.ENOUGH and is_enough)
        return Finding.CONFIRMED if is_kept else Finding.OPEN

    def _loses_always(self, vector: RankVector) -> bool:
        """Whether it was worse on every seed, those included that chose the winner."""
        seeds = (*self.earlier, *self.seeds)
        differences = paired(vector, self.arms.uniform, self.scores, seeds).differences
        return len(differences) >= LEAST_LOST and max(differences) < 0.0

    def _is_enough(self, vector: RankVector) -> bool:
        """Whether ``vector`` is shown to lose no more than the margin."""
        pairs = self._pairs(vector, self.arms.uniform)
        found = self._compared(pairs)
        return (
            found is not None
            and found.seeds >= LEAST_PAIRS
            and found.ci_low >= -self.verify.margin
            and found.answer is not Answer.WORSE
            and pairs.forfeits[0] == 0
        )

    def _cheapest(self, space: SearchSpace) -> RankVector:
        """Return the cheapest arm that is shown to lose no more than the margin."""
        judged = self.arms.judging(self.chosen.winner, self.chosen.random)
        passed = [vector for vector in judged if self._is_enough(vector)]
        return min([self.arms.uniform, *passed], key=space.parameters)

    def _versus(self, vector: RankVector, rival: RankVector | None) -> Comparison | None:
        """Compare; None where there is no rival, or too much failed."""
        return None if rival is None else self._compared(self._pairs(vector, rival))

    def _compared(self, pairs: Pairs) -> Comparison | None:
        return pairs.compare(self.look.confidence, self.verify.least_gain)

    def _pairs(self, vector: RankVector, rival: RankVector) -> Pairs:
        return paired(vector, rival, self.scores, self.seeds)
