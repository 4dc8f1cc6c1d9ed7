"""Belief: what a meta-learned prior says about one study, as plain numbers.

The prior's regressors run once, when a study starts. The state keeps only this, so a replay
needs neither the prior nor the library that evaluates it.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Belief:
    """The prior's opinion before the first trial.

    Attributes:
        log_worth: Natural logarithm of what raising each layer from the lowest allowed rank to the
            budget's mean rank is expected to add to the score, relative to the other layers: in
            the order of the space's layers, mean 0.
        prior: Version of the prior, for the record.
    """

    log_worth: tuple[float, ...]
    prior: str = ""
