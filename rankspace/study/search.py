"""Search: what is searched, by whom, at what price, and what it begins with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from rankspace.errors import InvalidInput
from rankspace.observation import Taught
from rankspace.study.bounds import (
    LEAST_SURVEYED,
    MAX_DIGITS,
    MAX_PARAMETERS,
    MAX_SEED,
    MAX_STEPS,
    MAX_STOP_RISK,
    MAX_SURVEY_STEPS,
    MAX_SURVEYED,
    MAX_TRIALS,
    MAX_VERSION,
    MAX_WORTH,
    within,
)
from rankspace.wire import LATER

PRIORS = ("shipped", "none")
"""The opinions that have a name; any other comes in a file."""


class Granularity(StrEnum):
    """What gets one rank: each weight matrix, or each block."""

    MODULE = "module"  # one rank per weight matrix
    BLOCK = "block"  # one rank per decoder block, as in the RankAdaptor paper


class StrategyName(StrEnum):
    """Names of the strategies, as a study file has them."""

    ADDITIVE = "additive"
    BLEND = "blend"
    RANKADAPTOR = "rankadaptor"
    XGBOOST = "xgboost"
    GP = "gp"
    TPE = "tpe"
    CMAES = "cmaes"
    GP_OPTUNA = "gp-optuna"
    SWAP = "swap"
    RANDOM = "random"
    UNIFORM = "uniform"
    RECONSTRUCTION_ERROR = "reconstruction-error"
    LINEAR_DEPTH = "linear-depth"
    IMPORTANCE = "importance"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a study may spend.

    Attributes:
        parameters: Trainable parameters per vector: ``uniform:R`` for as many as rank R on every
            free layer costs; or a number, lowered to what the largest uniform rank within it
            costs, so that the winner and uniform ranks may spend the same.
        trials: Search trials in all, failed ones included.
        gpu_hours: Training time over all search trials, and the survey before them, after which no
            new one starts; None for no limit. The survey counts up to half of it.
    """

    parameters: int | str = "uniform:8"
    trials: int = 60
    gpu_hours: float | None = None

    def __post_init__(self) -> None:
        within(1, MAX_TRIALS, "trials", self.trials)
        if self.gpu_hours is not None and self.gpu_hours <= 0:
            raise InvalidInput("gpu_hours", self.gpu_hours, "must be positive", fix="leave it out")
        if isinstance(self.parameters, str):
            self.uniform_rank()
        else:
            within(1, MAX_PARAMETERS, "parameters", self.parameters)

    def uniform_rank(self) -> int | None:
        """R of ``uniform:R``, or None when the budget is a plain number."""
        if isinstance(self.parameters, int):
            return None
        kind, _, rank = self.parameters.partition(":")
        if kind != "uniform" or not rank.isdecimal() or len(rank) > MAX_DIGITS:
            raise InvalidInput(
                "parameters",
                self.parameters,
                "is neither a number nor uniform:RANK",
                fix="write 14000000 or uniform:8",
            )
        return int(rank)


@dataclass(frozen=True, slots=True)
class TrialRun:
    """One search trial.

    Attributes:
        steps: Optimiser steps; a fraction of the recipe is enough to tell vectors apart.
        metric: What it is judged by, on the selection half of the held-out data.
        stop_risk: Trials whose interim losses say that they cannot win any more end early; this
            is the probability, over the whole search, of ending the one that would have won. 0
            lets every trial run to its end.
    """

    steps: int = 200
    metric: Literal["validation_loss"] = "validation_loss"
    stop_risk: float = 0.0

    def __post_init__(self) -> None:
        within(1, MAX_STEPS, "steps", self.steps)
        if not 0.0 <= self.stop_risk <= MAX_STOP_RISK:
            raise InvalidInput(
                "stop_risk",
                self.stop_risk,
                f"must be 0 to {MAX_STOP_RISK}",
                fix="use 0.02, or 0 to stop no trial",
            )


@dataclass(frozen=True, slots=True)
class Opinion:
    """What somebody's own prior says of each layer; the prior itself stays where it is.

    Attributes:
        version: Of the prior, for the record.
        log_worth: Natural logarithm of what rank is expected to be worth in each layer, relative to
            the others: one number per layer, in the order of the search's layers.
        taught: Instead of it trials of other studies on the same layers, which strategy
            ``rankadaptor`` learns from offline.
    """

    version: str
    log_worth: tuple[float, ...] = ()
    taught: Taught | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if self.version in PRIORS or not self.version.strip() or len(self.version) > MAX_VERSION:
            problem = f"must have 1 to {MAX_VERSION} characters and be none of {PRIORS}"
            raise InvalidInput("version", self.version, problem, fix="give the prior's version")
        if bool(self.log_worth) == bool(self.taught):
            problem = "is what an opinion has, or else taught, and not both"
            raise InvalidInput("log_worth", list(self.log_worth), problem, fix="give one of them")
        for index, worth in enumerate(self.log_worth):
            if abs(worth) > MAX_WORTH:
                problem = f"is not within {MAX_WORTH:g} of 0"
                raise InvalidInput(f"log_worth[{index}]", worth, problem, fix="give logarithms")


@dataclass(frozen=True, slots=True)
class Survey:
    """The stage before the search, as the study file has it.

    Attributes:
        steps: Optimiser steps of the one training, which sees another rank vector at each.
        vectors: How many rank vectors are scored on what it trained.
        further: How many more are scored on it while the search goes on, those that the model then
            holds for best; 0 for none.
    """

    steps: int = 400
    vectors: int = 100
    further: int = field(default=0, metadata=LATER)

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("steps", self.steps, 1, MAX_SURVEY_STEPS),
            ("vectors", self.vectors, LEAST_SURVEYED, MAX_SURVEYED),
        ):
            if not least <= value <= most:
                problem = f"must be {least} to {most:,}"
                raise InvalidInput(name, value, problem, fix="use 400 steps and 100 vectors")
        left = MAX_SURVEYED - self.vectors
        if not 0 <= self.further <= left:
            problem = f"must be 0 to {left:,}: {MAX_SURVEYED:,} vectors are scored at most"
            raise InvalidInput("further", self.further, problem, fix="use 0 for none")


@dataclass(frozen=True, slots=True)
class Search:
    """Where to look, and how.

    Attributes:
        ranks: Allowed ranks, strictly increasing; 0 lets a layer go without an adapter. No matrix
            gets more than it has rows or columns, uniform ranks included.
        granularity: One rank per weight matrix, or per block as in the RankAdaptor paper.
        fixed: Layers whose rank is not searched, by full name or by a pattern that matches some of
            them, as ``model.layers.0.*`` or ``*.down_proj``; a full name counts before patterns.
        budget: What may be spent.
        trial: What one trial runs.
        strategy: Who proposes.
        prior: What the search begins with: ``shipped``, what the prior that comes with the program
            expects of the layers; ``none``, no opinion; or a file that ``rankadaptor meta train``
            wrote, relative to the study file. Strategy ``rankadaptor`` also takes one that
            ``rankadaptor meta export`` wrote: trials of other studies on the same layers.
        seed: Of proposals, initialisation and data order; the same study again gives the same.
        survey: One training of all rank vectors at once before the search, on which many are
            scored: to tell the layers apart at the price of a few trials. null for none, or the
            training's ``steps`` (400), how many ``vectors`` are scored then (100), and how many
            ``further`` ones while the search goes on (0). Only the strategy additive listens to it.
    """

    ranks: tuple[int, ...] = (0, 2, 4, 6, 8, 10, 12, 16)
    granularity: Granularity = Granularity.MODULE
    fixed: Mapping[str, int] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)
    trial: TrialRun = field(default_factory=TrialRun)
    strategy: StrategyName = StrategyName.ADDITIVE
    prior: str | Opinion = "shipped"
    seed: int = 0
    survey: Survey | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if not 0 <= self.seed <= MAX_SEED:
            raise InvalidInput("seed", self.seed, f"must be 0 to {MAX_SEED}", fix="use 0")
