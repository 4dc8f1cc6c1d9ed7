"""Turns: whether the additive model or the process proposes, by what the trials of each scored.

Where layers add up, samples of the additive model score above uniform soon after the design. Where
they do not, they may go on below it for the whole search. What a trial scored says that at
once, and whatever the reason; left-out errors say it late: most of them are of trials far off.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from perfmodel.state import ModelState
from perfmodel.strategies.comparable import comparable_scores
from perfmodel.strategies.memory import remembered

LATEST = 3
"""Trials of each that are compared."""

ROW = 2
"""Turns in a row that the process has at most, so that the additive model is heard again."""

LONG = 32
"""Trials of a search in which there are turns: the first samples of a shorter one are drawn to
learn from, and low scores of theirs say nothing yet."""

AFRESH = 200
"""Trials after which nobody remembers whose they were."""


@dataclass(frozen=True)
class Turns:
    """Whose turns there were: a function of the scores in their order, and stored nowhere.

    Trials that are learned in another order than they were proposed in may be counted for the
    wrong one of the two.

    Attributes:
        uniform: What uniform scores, which the process begins at, by its trials of the design and
            of the latest; minus infinity without any.
        ours: Latest scores of the additive model's trials.
        theirs: Of the process's.
        row: Turns that the process has had since.
    """

    uniform: float
    ours: tuple[float, ...] = ()
    theirs: tuple[float, ...] = ()
    row: int = 0

    @classmethod
    def of(cls, state: ModelState) -> "Turns":
        """After all trials of ``state`` that have a score."""
        return remembered(state, "turns", lambda: cls._of(state))

    @classmethod
    def _of(cls, state: ModelState) -> "Turns":
        scores, begin, uniform = comparable_scores(state), _begin(state), state.setup.uniform
        design = min(state.setup.design_count, len(scores))
        near = [*range(design), *range(begin, len(scores))]
        own = [at for at in near if state.scored[at].rank_vector == uniform]
        known = float(np.median(scores[own])) if own else -np.inf
        return cls(known).after(scores[begin:].tolist() if state.trials >= LONG else ())

    def after(self, scores: Sequence[float]) -> "Turns":
        """With further trials, each of whoever's turn it was."""
        turns = self
        for score in scores:
            turns = turns._with((score,))
        return turns

    def awaiting(self, count: int) -> "Turns":
        """With so many further trials that have no score yet."""
        turns = self
        for _ in range(count):
            turns = turns._with(())
        return turns

    def _with(self, score: tuple[float, ...]) -> "Turns":
        if self.is_for_process:
            latest = (*self.theirs, *score)[-LATEST:]
            return Turns(self.uniform, self.ours, latest, self.row + 1)
        return Turns(self.uniform, (*self.ours, *score)[-LATEST:], self.theirs)

    @property
    def is_for_process(self) -> bool:
        """Whose the next one is."""
        return self.row < ROW and self.may_be_for_process

    @property
    def may_be_for_process(self) -> bool:
        """Whether the best of the additive model's latest trials is behind.

        The best, since a sample far out may score low and teach much.
        """
        return self.is_judged and self._behind(max)

    def comes_near(self, best: float) -> bool:
        """Whether the additive model's latest trials, by their median, are not behind.

        And at least half way from uniform to what the ``best`` trial scores.
        """
        half = best if self.uniform == -np.inf else (self.uniform + best) / 2.0
        return not self._behind(median) and median(self.ours) >= half

    @property
    def is_judged(self) -> bool:
        """Whether the additive model has had its first trials."""
        return len(self.ours) >= LATEST

    def _behind(self, mark: Callable[[Sequence[float]], float]) -> bool:
        reached = mark(self.theirs) if self.theirs else self.uniform
        return max(reached, self.uniform) > mark(self.ours)


def _begin(state: ModelState) -> int:
    """The first trial that counts: after the design, and not too long ago."""
    planned = state.setup.design_count
    return planned + AFRESH * max(0, (len(state.scored) - planned) // AFRESH)
