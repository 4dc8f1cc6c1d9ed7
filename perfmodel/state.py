"""ModelState: everything the performance model knows, as the events it was told."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from perfmodel.additive import stored_fit
from perfmodel.additive.belief import Belief
from perfmodel.additive.posterior import Posterior
from perfmodel.additive.setup import Setup
from perfmodel.additive.survey import Hearing
from perfmodel.arrays import Floats
from rankspace import Context, Observation, RankVector, SearchSpace
from rankspace.cached import cached_property
from rankspace.errors import InvalidInput
from rankspace.observation import Surveyed, Taught
from rankspace.study import StrategyName
from rankspace.wire import LATER, pack, unpack

TRIAL_BYTES = 500
"""Memory of a trial beside its ranks."""

TAUGHT_BYTES = 36
"""Memory of a rank that was taught: it may be large, and then is an object of its own."""


@dataclass(frozen=True)
class ModelState:
    """One study's model. Frozen: ``learn`` and ``propose`` return new states.

    Every number derived from the events is computed when first asked for and never stored, so
    states are equal when their events are, and a replay gives the same bytes and proposals.

    Attributes:
        space: What may be proposed.
        strategy: Who proposes.
        seed: Root of all randomness.
        trials: Search trials planned, failed ones included; sets the pace of exploration.
        draws: Proposals made so far; each has its own random stream.
        observations: In the order they were learned.
        context: What the study holds fixed.
        belief: What the meta-learned prior said at the start, or None.
        taught: Trials of other studies that were given at the start, or None.
        surveyed: What a survey said before the first trial.
        submitted: Search trials planned before any extension, where there were other than
            ``trials``; 0 where there was none. The design and whose turn it is go by them, so that
            an extension goes on with what was begun.
    """

    space: SearchSpace
    strategy: StrategyName
    seed: int
    trials: int
    draws: int = 0
    observations: tuple[Observation, ...] = ()
    context: Context = field(default_factory=Context)
    belief: Belief | None = None
    taught: Taught | None = None
    surveyed: tuple[Surveyed, ...] = ()
    submitted: int = 0

    def to_bytes(self) -> bytes:
        """Write the versioned JSON form; ``from_bytes`` reads it back to an equal state."""
        events = _Events(**{f.name: getattr(self, f.name) for f in fields(_Events)})
        return json.dumps(pack(events), separators=(",", ":"), allow_nan=False).encode()

    @staticmethod
    def from_bytes(blob: bytes) -> "ModelState":
        """Read what ``to_bytes`` wrote.

        Raises:
            UnsupportedVersion: Another version of the program wrote it.
            InvalidInput: It is not a state.
        """
        try:
            document = json.loads(blob)
        except ValueError as error:
            raise InvalidInput("state", blob, str(error), fix="give what to_bytes wrote") from None
        events = unpack(_Events, document)
        return ModelState(**{f.name: getattr(events, f.name) for f in fields(_Events)})

    def learned(self, observations: Sequence[Observation]) -> "ModelState":
        return self._evolve(observations=(*self.observations, *observations))

    def informed(self, surveyed: Sequence[Surveyed]) -> "ModelState":
        """The state that also knows these scores of a survey, as if it had from the beginning."""
        following = replace(self, surveyed=(*self.surveyed, *surveyed))
        known = (name for name in ("scored", "scores", "tried") if name in vars(self))
        following.__dict__.update({name: vars(self)[name] for name in known})
        return following

    def drawn(self, count: int) -> "ModelState":
        return self._evolve(draws=self.draws + count)

    def generator(self, draw: int) -> np.random.Generator:
        """Return the random stream of the ``draw``-th proposal."""
        return np.random.default_rng(np.random.SeedSequence([self.seed, draw]))

    @cached_property
    def setup(self) -> Setup:
        """What follows from the space, and from what was said of it before the first trial."""
        belief = self._heard.belief if self.surveyed else self.belief
        return Setup(self.space, self.seed, self.pace, belief)

    @property
    def _heard(self) -> Hearing:
        known = vars(self).get("_hearing") or Hearing.of(self.space, self.surveyed, self.belief)
        while known.rounds:
            known = known.stepped()
        return known

    def hear(self) -> bool:
        """Learn one round of what the survey says: many scores of many layers take seconds.

        Changes nothing but when the ``setup`` is computed.

        Returns:
            Whether all of it is learned.
        """
        if "setup" in vars(self) or not self.surveyed:
            return True
        known = vars(self).get("_hearing")
        known = known.stepped() if known else Hearing.of(self.space, self.surveyed, self.belief)
        vars(self)["_hearing"] = known
        return not known.rounds

    @property
    def is_heard(self) -> bool:
        """Whether the survey, if there is one, says anything of the layers."""
        return self.setup.belief is not self.belief

    @property
    def pace(self) -> int:
        """Search trials planned before any extension."""
        return self.submitted or self.trials

    def extended(self, trials: int) -> "ModelState":
        """The state of a search of so many more trials, or fewer where it is negative."""
        return self._evolve(trials=self.trials + trials, submitted=self.pace)

    @cached_property
    def bare(self) -> float:
        """Score of the model without any adapter, once somebody tried it; minus infinity before."""
        return _bare(self.observations)

    @cached_property
    def scored(self) -> tuple[Observation, ...]:
        """Observations of trials that did not fail.

        A trial that ended below the model without adapter has failed as well, however well it
        looks: training did harm, and how much says nothing about its ranks.
        """
        return tuple(seen for seen in self.observations if _counts(seen, self.bare))

    @cached_property
    def scores(self) -> Floats:
        """Scores of ``scored``, ``(n,)``."""
        return np.array([seen.score for seen in self.scored], dtype=np.float64)

    @cached_property
    def tried(self) -> frozenset[RankVector]:
        """Every vector a trial has finished on, failed ones included."""
        return frozenset(seen.rank_vector for seen in self.observations)

    @cached_property
    def posterior(self) -> Posterior | None:
        """What the scores say; None until two trials have one."""
        if len(self.scored) < 2:
            return None
        earlier = self.__dict__.get("_earlier")
        if isinstance(earlier, Posterior):
            return earlier.advanced(self.scored)
        return Posterior.of(self.setup.basis, self.scored, self.seed)

    def digest(self) -> bool:
        """Learn on up to the next refit: a long history, or survey, can be learned in pieces.

        Changes nothing but when the ``posterior`` is computed.

        Returns:
            Whether all is learned.
        """
        if not self.hear():
            return False
        if "posterior" in vars(self) or len(self.scored) < 2:
            return True
        known = vars(self).get("_earlier") or Posterior.first(
            self.setup.basis, self.scored, self.seed
        )
        known = known.stepped(self.scored)
        vars(self)["_earlier"] = known
        if known.count < len(self.scored):
            return False
        vars(self)["posterior"] = known
        return True

    def rest(self) -> None:
        """Let go of what only the learning up to here needed; changes nothing but the memory."""
        posterior = vars(self).get("posterior")
        if posterior is not None:
            vars(self).pop("_earlier", None)
            vars(self)["posterior"] = posterior.at_rest()

    @property
    def size(self) -> int:
        """Bytes of memory, roughly: of trials (taught ones too), surveys, and what was learned."""
        known: dict[str, Posterior | None] = vars(self)
        learned = (known.get("posterior"), known.get("_earlier"))
        layers, rows = len(self.space.layers), len(self.taught.vectors) if self.taught else 0
        own = (len(self.observations) + len(self.surveyed)) * (8 * layers + TRIAL_BYTES)
        taught = rows * (TAUGHT_BYTES * layers + TRIAL_BYTES)
        return own + taught + sum(one.size for one in learned if one)

    @property
    def fitted(self) -> int:
        """Scores that the last refit is of; 0 before there is one."""
        posterior = vars(self).get("posterior") or vars(self).get("_earlier")
        return len(posterior.fit.measurements.seen) if posterior else 0

    def kept_fit(self, known: int) -> bytes | None:
        """The last refit, if it is of at least ``known`` scores, as ``take_up`` reads it back."""
        posterior = vars(self).get("posterior")
        if posterior is None or len(posterior.fit.measurements.seen) < known:
            return None
        return stored_fit.dump(posterior.fit)

    def take_up(self, kept: bytes) -> bool:
        """Go on from a kept refit instead of from the first score; whether it was one of these.

        Changes nothing but when the ``posterior`` is computed.
        """
        if "posterior" in vars(self) or "_earlier" in vars(self):
            return True
        fit = stored_fit.load(kept, self.setup.basis, self.scored, self.seed)
        if fit is not None:
            vars(self)["_earlier"] = Posterior.after(fit)
        return fit is not None

    def _evolve(self, **changes: Any) -> "ModelState":
        following = replace(self, **changes)
        if "observations" in changes:
            following.__dict__.update(self._inherited(following.observations))
        else:
            following.__dict__.update({n: vars(self)[n] for n in _DERIVED if n in vars(self)})
        return following

    def _inherited(self, observations: tuple[Observation, ...]) -> dict[str, Any]:
        """What stays true with more observations, so that learning one never looks at them all."""
        fresh = observations[len(self.observations) :]
        known: dict[str, Any] = {n: vars(self)[n] for n in _STANDING if n in vars(self)}
        if "setup" in known:
            known.pop("_hearing", None)
        if vars(self).get("posterior") is not None:
            known["_earlier"] = self.posterior
        tried = self.tried | {seen.rank_vector for seen in fresh}
        bare = max(self.bare, _bare(fresh)) if self.bare == -np.inf else self.bare
        if bare != self.bare:  # what counts is another thing now
            known.pop("_earlier", None)
            return known | {"tried": tried, "bare": bare}
        scored = tuple(seen for seen in fresh if _counts(seen, bare))
        return {**known, "scored": (*self.scored, *scored), "tried": tried, "bare": bare}


def _bare(observations: Sequence[Observation]) -> float:
    """The first score of a vector that has no adapter anywhere."""
    told = (o.score for o in observations if o.score is not None and not any(o.rank_vector.ranks))
    return next(told, -np.inf)


def _counts(seen: Observation, bare: float) -> bool:
    return seen.score is not None and seen.score >= bare


_STANDING = ("setup", "_hearing", "_earlier")
"""What stays true with more observations, unless they change which of those before count:
``_earlier``, the last posterior that was asked for: learning goes on from there."""

_DERIVED = (*_STANDING, "bare", "scored", "scores", "tried", "posterior")
"""What a state computes once; all of it stays true while no observation is added."""


@dataclass(frozen=True)
class _Events:
    """What is written: the fields of ModelState, and nothing derived from them."""

    space: SearchSpace
    strategy: StrategyName
    seed: int
    trials: int
    draws: int
    observations: tuple[Observation, ...]
    context: Context = field(default_factory=Context)
    belief: Belief | None = None
    taught: Taught | None = field(default=None, metadata=LATER)
    surveyed: tuple[Surveyed, ...] = field(default=(), metadata=LATER)
    submitted: int = field(default=0, metadata=LATER)
