"""The survey: scores of many vectors from one elastic training, as an opinion on the layers.

Its scores are no trials'. Their offset says nothing here, and is left out; how much the effects of
trials differ from its own, their slope, is the common scale, which the trials teach; and where it
is wrong it is wrong for all vectors alike, which no count of scores averages out. So it enters as
what each layer is worth relative to the others, in the place of a meta-learned prior that is one of
its own inputs: to a power, the trust, that the trials teach as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from perfmodel.additive.basis import Basis
from perfmodel.additive.belief import Belief
from perfmodel.additive.fit import Fit, refit
from perfmodel.arrays import Floats
from rankspace import Observation, SearchSpace
from rankspace.observation import Surveyed
from rankspace.study import LEAST_SURVEYED

LEAST_SHARE = 0.25
"""Share of the scores' variance that must be foretold for anything to be heard: scores without
content come near it by chance, and whatever is heard shortens the design."""

FAR = 3.0
"""Standard deviations of the scores, by their median deviation, beyond which being further off
counts no more: a score that diverged."""

MEDIAN = 0.6745
"""Median deviation of a Gaussian in its standard deviations."""

ROUNDS = 5
"""Refits: one goes on from another."""

DEPTH = 3.0
"""How far below the worthiest layer's the logarithm of a layer's worth may lie: what the survey
does not see is not known to be nothing."""


@dataclass(frozen=True)
class Hearing:
    """A survey that is being fitted, round by round: many scores of many layers take seconds.

    Attributes:
        space: Of the study.
        seen: The survey's scores, as if they were trials'.
        prior: What was believed before, or None.
        basis: That ``prior`` gives.
        rounds: Still to come.
        fit: After those before; None before the first.
    """

    space: SearchSpace
    seen: tuple[Observation, ...]
    prior: Belief | None
    basis: Basis
    rounds: int
    fit: Fit | None = None

    @classmethod
    def of(
        cls, space: SearchSpace, surveyed: Sequence[Surveyed], prior: Belief | None
    ) -> "Hearing":
        """Begin; there are no rounds where too few scores are known, or no layer has a choice."""
        seen = tuple(Observation(one.rank_vector, one.score) for one in surveyed)
        says = len(seen) >= LEAST_SURVEYED and bool(space.free_layers)
        return cls(space, seen, prior, Basis.of(space, prior), ROUNDS if says else 0)

    def stepped(self) -> "Hearing":
        """After one more round, if there is one."""
        if not self.rounds:
            return self
        fit = refit(self.basis, self.seen, self.fit)
        return replace(self, fit=fit, rounds=self.rounds - 1)

    @property
    def belief(self) -> Belief | None:
        """What the survey, as far as it is fitted, says of the layers.

        It is drawn towards what was believed before by how much of its own scores remains
        unexplained when each is left out: scores in which the layers do not show are noise,
        whatever was fitted to them.

        Returns:
            ``prior`` itself where the survey says nothing.
        """
        share = _explained(self.fit) if self.fit else 0.0
        if self.fit is None or share < LEAST_SHARE:
            return self.prior
        free = self.basis.hierarchy.free
        before = np.array(self.prior.log_worth if self.prior else [0.0] * len(self.space.layers))
        worth, known = np.zeros(len(before)), _centred(before[free])
        worth[free] = known + share * (_centred(_log_worth(self.basis, self.fit)) - known)
        version = f"{self.prior.prior}, survey" if self.prior else "survey"
        return Belief(tuple(worth.tolist()), version)


def survey_belief(
    space: SearchSpace, surveyed: Sequence[Surveyed], prior: Belief | None
) -> Belief | None:
    """Return what the survey, heard with ``prior`` in mind, says of the layers.

    Returns:
        ``prior`` itself where the survey says nothing.
    """
    hearing = Hearing.of(space, surveyed, prior)
    while hearing.rounds:
        hearing = hearing.stepped()
    return hearing.belief


def _explained(fit: Fit) -> float:
    """Share of the scores' variance that is foretold of those left out.

    One score that diverged must not cost what the others say: ``FAR`` off is as bad as any.
    """
    targets = fit.measurements.targets
    off = targets - np.median(targets)
    far = FAR * float(np.median(np.abs(off))) / MEDIAN
    spread = float(np.mean(np.clip(off, -far, far) ** 2))
    alone = (len(targets) / (len(targets) - 1.0)) ** 2  # left out, it does not draw the middle
    left = float(np.mean(np.clip(fit.left_out, -far, far) ** 2))
    return 1.0 - left / (spread * alone) if spread > 0.0 else 0.0


def _centred(logs: Floats) -> Floats:
    return np.asarray(logs - logs.mean())


def _log_worth(basis: Basis, fit: Fit) -> Floats:
    """Of raising each free layer from its lowest rank to the middle one, ``(free,)``."""
    tables = basis.tables(fit.gaussian.mean[: len(fit.sites.mean)])[basis.hierarchy.free]
    worth = tables[:, tables.shape[1] // 2] - tables[:, 0]
    least = float(worth.max()) * np.exp(-DEPTH)
    return np.log(np.maximum(worth, least)) if least > 0.0 else np.zeros(len(worth))
