"""OptunaStudy: an in-memory Optuna study that follows a state's observations."""

from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from perfmodel.strategies.samplers.encoding import OrdinalEncoding, Point, ScoredPoint

optuna.logging.set_verbosity(optuna.logging.WARNING)


class OptunaStudy:
    """Mutable: trials are only ever added. Whoever uses it owns it meanwhile.

    Attributes:
        told: What it was told so far.
    """

    def __init__(self, encoding: OrdinalEncoding) -> None:
        digits = len(str(len(encoding.space.layers)))
        self._distributions: dict[str, BaseDistribution] = {
            f"{layer:0{digits}}": IntDistribution(0, top)
            for layer, top in zip(encoding.free, encoding.tops, strict=True)
        }
        self._study = optuna.create_study(direction="maximize")
        self.told: tuple[ScoredPoint, ...] = ()

    def tell(self, scored: Sequence[ScoredPoint]) -> None:
        """Add finished trials."""
        for one in scored:
            self._add(one.point, TrialState.COMPLETE, one.score)
        self.told += tuple(scored)

    def ask(self, sampler: BaseSampler, running: Sequence[Point]) -> Point:
        """Let ``sampler`` choose while ``running`` run; nothing of it stays in the study.

        What ran is closed as failed, which samplers ignore.
        """
        first = len(self._study.get_trials(deepcopy=False))
        for point in running:
            self._add(point, TrialState.RUNNING, None)
        self._study.sampler = sampler
        trial = self._study.ask(self._distributions)
        for number in range(first, trial.number + 1):
            self._study.tell(number, state=TrialState.FAIL)
        asked = trial.params  # a copy of all of them, whenever one is looked up
        return tuple(int(asked[name]) for name in self._distributions)

    def _add(self, point: Point, state: TrialState, score: float | None) -> None:
        self._study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=score,
                params=dict(zip(self._distributions, point, strict=True)),
                distributions=self._distributions,
            )
        )
