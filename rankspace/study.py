"""Study: one search, as a person writes it. The YAML schema is these classes, read by ``wire``."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType
from typing import Literal

from rankspace.errors import InvalidInput
from rankspace.observation import Taught
from rankspace.recipe import Inputs, Recipe
from rankspace.wire import LATER

MAX_SEED = 2**31 - 1
MAX_TRIALS = 100_000
MAX_FRESH_SEEDS = 10_000
MAX_STEPS = 10_000_000
MAX_PARAMETERS = 2**53
MAX_STOP_RISK = 0.5
MAX_GIB = 100_000
MAX_DIGITS = 6  # of a rank
MAX_VERSION = 100  # characters, of a prior's or a preset's
MAX_WORTH = 20.0
MOST_NATS = 100.0  # of what counts as a difference: guessing among a million tokens costs 14
LEAST_RATE, MOST_RATE = 1e-3, 1e3
MOST_RATES = 10
MAX_SURVEY_STEPS = 1_000_000
LEAST_SURVEYED, MAX_SURVEYED = 8, 500
MOST_CANDIDATES = 100
"""Rank vectors that a person has tried at once."""

PRIORS = ("shipped", "none")
"""The opinions that have a name; any other comes in a file."""


class StudyState(StrEnum):
    """Where a study is between submission and its end."""

    SURVEYING = "surveying"
    SEARCHING = "searching"
    VERIFYING = "verifying"
    RECOVERING = "recovering"
    DONE = "done"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    FAILED = "failed"


STAGES = (
    StudyState.SURVEYING,
    StudyState.SEARCHING,
    StudyState.VERIFYING,
    StudyState.RECOVERING,
    StudyState.DONE,
)
"""How far a study may have come; the other states keep the stage it was in."""

_STOPS = frozenset({StudyState.PAUSED, StudyState.CANCELLED, StudyState.FAILED})
_AGAIN = frozenset({*STAGES[:-1], StudyState.CANCELLED})

STUDY_TRANSITIONS: Mapping[StudyState, frozenset[StudyState]] = MappingProxyType(
    {
        **{now: _STOPS | {after} for now, after in pairwise(STAGES)},
        StudyState.DONE: frozenset({StudyState.SEARCHING}),
        StudyState.PAUSED: _AGAIN,
        StudyState.CANCELLED: frozenset(),
        StudyState.FAILED: _AGAIN,
    }
)
"""Legal moves. A paused or failed study goes back to the stage it was in; one that is done goes on
when a person extends it. That an extension is cancelled undoes it, and is no move of these."""


def sources(state: StudyState) -> tuple[StudyState, ...]:
    """States from which a study may come to ``state``."""
    return tuple(old for old, following in STUDY_TRANSITIONS.items() if state in following)


ACTIVE = sources(StudyState.PAUSED)
"""A study goes on by itself: it has trials to run and is planned."""

RESUMABLE = tuple(state for state, following in STUDY_TRANSITIONS.items() if following == _AGAIN)
OVER = tuple(state for state in StudyState if state not in (*ACTIVE, StudyState.PAUSED))
"""Nothing of it runs or waits; one that failed may be resumed all the same, and one that is done be
extended."""


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
        _within(1, MAX_TRIALS, "trials", self.trials)
        if self.gpu_hours is not None and self.gpu_hours <= 0:
            raise InvalidInput("gpu_hours", self.gpu_hours, "must be positive", fix="leave it out")
        if isinstance(self.parameters, str):
            self.uniform_rank()
        else:
            _within(1, MAX_PARAMETERS, "parameters", self.parameters)

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
        _within(1, MAX_STEPS, "steps", self.steps)
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
    """

    steps: int = 400
    vectors: int = 100

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("steps", self.steps, 1, MAX_SURVEY_STEPS),
            ("vectors", self.vectors, LEAST_SURVEYED, MAX_SURVEYED),
        ):
            if not least <= value <= most:
                problem = f"must be {least} to {most:,}"
                raise InvalidInput(name, value, problem, fix="use 400 steps and 100 vectors")


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
            scored: to tell the layers apart at the price of a few trials. null for none. Only the
            strategy additive listens to it.
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


class Control(StrEnum):
    """A vector that needs no search; what it beats or loses by says what the search is worth."""

    O_PROJ = "o_proj"  # the same rank on every attention output, as much as the budget allows
    DOWN_PROJ = "down_proj"  # likewise on every FFN output
    LARGEST_GRADIENT = "largest-gradient"  # one matrix, the one with the largest gradient


@dataclass(frozen=True, slots=True)
class Verify:
    """How the winner is checked.

    Attributes:
        candidates: How many of the best vectors enter verification.
        seeds: Fresh seeds before the first look at the interval.
        max_trials: Verification trials over the candidates, uniform, the cheap vector and the best
            random one. Controls come on top: they must not cost the winner a seed.
        random_control: Whether as many random vectors as search trials are run as a control, and
            the best of them verified.
        margin: Loss, in nats, up to which a cheaper vector counts as not worse than uniform: the
            lower end of its interval must lie above minus this. 0.01 is 1 % of perplexity.
        least_gain: Gain, in nats, that the interval's lower end must exceed for ``better``; None
            for a tenth of one trial's noise, taken from the paired differences themselves.
        controls: Vectors that need no search, each verified against the winner at equal parameters.
        rates: Multiples of the recipe's learning rate at which the winner and uniform run on one
            seed, beside the recipe's own.
    """

    candidates: int = 3
    seeds: int = 5
    max_trials: int = 30
    random_control: bool = False
    margin: float = field(default=0.01, metadata=LATER)
    least_gain: float | None = field(default=None, metadata=LATER)
    controls: tuple[Control, ...] = field(default=(), metadata=LATER)
    rates: tuple[float, ...] = field(default=(), metadata=LATER)

    def __post_init__(self) -> None:
        _within(1, MAX_TRIALS, "candidates", self.candidates)
        _within(3, MAX_TRIALS, "seeds", self.seeds)
        _within(1, MAX_TRIALS, "max_trials", self.max_trials)
        _within_nats("margin", self.margin, fix="use 0.01")
        _within_nats("least_gain", self.least_gain or 0.0, fix="leave it out")
        self._check_beside()
        least = self.least_trials()
        if self.max_trials < least:
            raise InvalidInput(
                "max_trials",
                self.max_trials,
                f"{self.candidates} candidates and {self.seeds} seeds need at least {least} trials",
                fix=f"allow {least}, or ask for fewer candidates or seeds",
            )

    def _check_beside(self) -> None:
        if len(set(self.controls)) < len(self.controls):
            names = ", ".join(self.controls)
            raise InvalidInput("controls", names, "names one twice", fix="name each of them once")
        for index, rate in enumerate(self.rates):
            if not LEAST_RATE <= rate <= MOST_RATE:
                problem = f"must be {LEAST_RATE:g} to {MOST_RATE:g} times the recipe's"
                raise InvalidInput(f"rates[{index}]", rate, problem, fix="use 0.33 or 3")
        if len(self.rates) > MOST_RATES or len(set(self.rates)) < len(self.rates):
            problem, fix = "are too many, or one twice", f"give at most {MOST_RATES} different ones"
            raise InvalidInput("rates", len(self.rates), problem, fix=fix)

    @property
    def other_rates(self) -> tuple[float, ...]:
        """Rates beside the recipe's own, lowest first."""
        return tuple(sorted(rate for rate in self.rates if rate != 1.0))

    def least_trials(self) -> int:
        """Trials of ``seeds`` rounds: what ``max_trials`` has to pay for."""
        return CHOOSING_SEEDS * self._choosing + self.seeds * self._judging

    def look_rounds(self, choosing: int, judging: int) -> tuple[int, ...]:
        """Judging rounds after which the verification looks, the last one what is affordable.

        The one plan of all that count rounds: what runs, when it is looked at, and the progress.

        Args:
            choosing: Arms of a choosing round that ``max_trials`` pays for.
            judging: Arms of a judging round, likewise.
        """
        last = max(0, (self.max_trials - CHOOSING_SEEDS * choosing) // judging)
        return look_rounds(self.seeds, last)

    def planned_trials(self, choosing: int | None = None, judging: int | None = None) -> int:
        """Trials of a verification that is decided at its first look.

        Args:
            choosing: Arms of a choosing round; None for as many as there may be.
            judging: Arms of a judging round, likewise.
        """
        choosing, judging = choosing or self._choosing, judging or self._judging
        return CHOOSING_SEEDS * choosing + self.look_rounds(choosing, judging)[0] * judging

    def control_trials(self) -> int:
        """Trials that ``max_trials`` does not pay for, at most: what runs beside its arms.

        With a random control as many random vectors choose as the search has candidates. Controls
        run on the seeds up to the first look, other rates on one.
        """
        random = CHOOSING_SEEDS * (self.candidates - 1) if self.random_control else 0
        first = self.look_rounds(self._choosing, self._judging)[0]
        return random + len(self.controls) * first + 2 * len(self.other_rates)

    @property
    def _choosing(self) -> int:
        return self.candidates + self._rivals

    @property
    def _judging(self) -> int:
        return 1 + self._rivals

    @property
    def _rivals(self) -> int:
        """Arms beside the candidates: uniform, a cheap vector and perhaps a random one."""
        return 2 + int(self.random_control)

    def on(self, seeds: int) -> "Verify":
        """The same with so many seeds before the first look, and trials enough for them."""
        least = self.least_trials() + (seeds - self.seeds) * self._judging
        return replace(self, seeds=seeds, max_trials=max(self.max_trials, least))


CHOOSING_SEEDS = 2
"""Seeds spent on choosing the winner among the candidates; none of them enters the interval."""

LOOKS_APART = 1.6
"""How many times the rounds of one look the next one has at least. A look at little more than was
seen at the one before finds next to nothing new, and what it may err is missing at the last."""


def look_rounds(first: int, last: int) -> tuple[int, ...]:
    """Rounds after which a verification looks: ``first`` and ``last``, and one between if it fits.

    Where ``last`` is too near to ``first``, or below it, there is one look, at the end.
    """
    if last < LOOKS_APART * first:
        return (last,)
    middle = round((first * last) ** 0.5)
    if middle >= LOOKS_APART * first and last >= LOOKS_APART * middle:
        return first, middle, last
    return first, last


@dataclass(frozen=True, slots=True)
class Recover:
    """The full fine-tune of the winner.

    Attributes:
        epochs: Passes over the training data.
        steps: Optimiser steps instead of epochs.
    """

    epochs: int = 2
    steps: int | None = None

    def __post_init__(self) -> None:
        _within(1, MAX_STEPS, "epochs", self.epochs)
        if self.steps is not None:
            _within(1, MAX_STEPS, "steps", self.steps)


@dataclass(frozen=True, slots=True)
class Extension:
    """How a study that is done goes on.

    Attributes:
        trials: Search trials beside those it had.
        seeds: Fresh seeds before the first look of the verification that follows; None for as many
            as before. Seeds of earlier verifications count no more: they were seen.
        candidates: Rank vectors of a person's own, which are the first of the trials, or all of
            them if ``trials`` is not given.
    """

    trials: int = 0
    seeds: int | None = None
    candidates: tuple[tuple[int, ...], ...] = ()

    @property
    def ordered(self) -> int:
        """Search trials in all."""
        return self.trials or len(self.candidates)

    def __post_init__(self) -> None:
        _within(0, MAX_TRIALS, "trials", self.trials)
        if self.seeds is not None:
            _within(3, MAX_FRESH_SEEDS, "seeds", self.seeds)
        if len(self.candidates) > MOST_CANDIDATES:
            fix = f"give {MOST_CANDIDATES} or fewer, and the others while it searches"
            raise InvalidInput("candidates", len(self.candidates), "are too many", fix=fix)
        if len(self.candidates) > self.ordered:
            problem = f"are fewer than the {len(self.candidates)} candidates"
            fix = "leave it out, or give each of them a trial"
            raise InvalidInput("trials", self.trials, problem, fix=fix)
        if not self.ordered and self.seeds is None:
            fix = "give more trials, or fresh seeds for another verification"
            raise InvalidInput("trials", self.trials, "extends nothing", fix=fix)


@dataclass(frozen=True, slots=True)
class Study:
    """One search. Only ``name``, ``model`` and ``recipe.data.train`` have no default.

    Attributes:
        name: For people; need not be unique.
        model: Directory of a pruned-model container or of a plain Hugging Face model.
        recipe: How to fine-tune.
        search: Where to look.
        verify: How to check.
        recover: What to do with the winner.
        gpu_memory_gib: Least GPU memory of a worker that may run its trials; 0 for any worker, one
            without a GPU included.
        inputs: What the training file and the tokenizer were; trials on others are refused.
        paper: ``true`` searches as in the RankAdaptor paper: strategy ``rankadaptor``, one rank
            per block out of 2, 4, 6, 8, 10 and 12, and rank 8 on the blocks that pruning left
            whole. A stored study has the name of the preset, and what it set.
    """

    name: str
    model: str
    recipe: Recipe
    search: Search = field(default_factory=Search)
    verify: Verify = field(default_factory=Verify)
    recover: Recover = field(default_factory=Recover)
    gpu_memory_gib: float = 0.0
    inputs: Inputs = field(default_factory=Inputs)
    paper: bool | str = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        if not 0.0 <= self.gpu_memory_gib <= MAX_GIB:
            problem, fix = f"must be 0 to {MAX_GIB:,}", "give the GiB a trial needs"
            raise InvalidInput("gpu_memory_gib", self.gpu_memory_gib, problem, fix=fix)
        if not self.name.strip() or len(self.name) > 200:
            raise InvalidInput("name", self.name, "must have 1 to 200 characters", fix="shorten it")
        if not self.model.strip():
            raise InvalidInput("model", self.model, "is empty", fix="give the model's directory")
        if len(str(self.paper)) > MAX_VERSION:
            problem = f"has more than {MAX_VERSION} characters"
            raise InvalidInput("paper", self.paper, problem, fix="write true, or leave it out")

    def extended(self, by: Extension) -> "Study":
        """The same with more trials, and a verification of its own after them.

        Raises:
            InvalidInput: More trials than a study may have.
        """
        budget = replace(self.search.budget, trials=self.search.budget.trials + by.ordered)
        verify = self.verify if by.seeds is None else self.verify.on(by.seeds)
        return replace(self, search=replace(self.search, budget=budget), verify=verify)


def _within_nats(name: str, value: float, fix: str) -> None:
    if not 0.0 <= value <= MOST_NATS:
        raise InvalidInput(name, value, f"must be 0 to {MOST_NATS:g} nats", fix=fix)


def _within(least: int, most: int, name: str, value: int) -> None:
    if value < least:
        raise InvalidInput(name, value, f"must be at least {least}", fix=f"use {least} or more")
    if value > most:
        raise InvalidInput(name, value, f"must be at most {most:,}", fix=f"use {most} or less")
