"""Verify: how the winner is judged, and against what."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from rankspace.errors import InvalidInput
from rankspace.study.bounds import (
    LEAST_RATE,
    MAX_TRIALS,
    MOST_RATE,
    MOST_RATES,
    MOST_RECIPE_SEEDS,
    within,
    within_nats,
)
from rankspace.verdict import LEAST_PAIRS
from rankspace.wire import LATER


class Control(StrEnum):
    """A vector that needs no search; what it beats or loses by says what the search is worth."""

    O_PROJ = "o_proj"  # the same rank on every attention output, as much as the budget allows
    DOWN_PROJ = "down_proj"  # likewise on every FFN output
    LARGEST_GRADIENT = "largest-gradient"  # one matrix, the one with the largest gradient
    EVA = "eva"  # EVA's ranks: where the inputs' principal components explain most


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
        at: ``trial`` judges on trials of ``search.trial.steps``. ``recipe`` does so too, and then
            recovers the winner and uniform with the whole recipe, paired seed by seed, and says
            whether the gain lasts. That costs two full fine-tunes per seed.
        recipe_seeds: Fresh seeds of those, if ``at`` is ``recipe``. Three leave 2 degrees of
            freedom: a wide interval, which shows only what is large beside the noise.
    """

    candidates: int = 3
    seeds: int = 5
    max_trials: int = 30
    random_control: bool = False
    margin: float = field(default=0.01, metadata=LATER)
    least_gain: float | None = field(default=None, metadata=LATER)
    controls: tuple[Control, ...] = field(default=(), metadata=LATER)
    rates: tuple[float, ...] = field(default=(), metadata=LATER)
    at: Literal["trial", "recipe"] = field(default="trial", metadata=LATER)
    recipe_seeds: int = field(default=3, metadata=LATER)

    def __post_init__(self) -> None:
        within(1, MAX_TRIALS, "candidates", self.candidates)
        within(3, MAX_TRIALS, "seeds", self.seeds)
        within(1, MAX_TRIALS, "max_trials", self.max_trials)
        within_nats("margin", self.margin, fix="use 0.01")
        within_nats("least_gain", self.least_gain or 0.0, fix="leave it out")
        within(LEAST_PAIRS, MOST_RECIPE_SEEDS, "recipe_seeds", self.recipe_seeds)
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

    def recoveries(self) -> int:
        """Full fine-tunes, at least: that of the winner, or the pairs with uniform it is one of.

        And, beside the pairs, one look at the pruned model as it is, which trains nothing.
        """
        return 1 + 2 * self.recipe_seeds if self.at == "recipe" else 1

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
