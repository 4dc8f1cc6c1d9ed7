"""Verdict: what a study may honestly claim."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from rankspace.rank_vector import RankVector
from rankspace.wire import LATER

LEAST_PAIRS = 3
"""Pairs below which an interval claims nothing: two may agree by chance however they are spread."""


class Answer(StrEnum):
    """Outcome of a paired comparison at 95 % confidence."""

    BETTER = "better"
    NO_DIFFERENCE_SHOWN = "no difference shown"
    WORSE = "worse"


SENTENCES: Mapping[Answer, str] = MappingProxyType(
    {
        Answer.BETTER: "The searched ranks are better than uniform ranks at the same budget.",
        Answer.NO_DIFFERENCE_SHOWN: "They cannot be told from uniform ranks; keep the cheaper.",
        Answer.WORSE: "The searched ranks are worse than uniform ranks; keep uniform.",
    }
)
"""What an answer means; a verdict's ``sentence`` is what every view shows."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One vector against another on fresh seeds, paired seed by seed.

    Attributes:
        gain: Mean paired difference of scores, the vector minus its rival.
        ci_low: Lower end of the 95 % interval of the gain.
        ci_high: Upper end.
        seeds: Pairs it rests on.
        answer: ``better`` if the interval lies above ``least_gain``, ``worse`` if below zero;
            never in favour of a vector that failed on a seed its rival did not fail on, nor on
            fewer than 3 pairs.
        failed: Pairs lost because one of the two trials failed, or both.
        worst: The smallest paired difference: how the vector fares on its unluckiest seed. None in
            verdicts of before.
        texts: Groups of held-out texts whose sampling the interval allows for, beside that of the
            seeds; 0 where the workers did not tell their losses.
        texts_seeds: Pairs that told their losses by text; less than ``seeds`` where one of a pair
            did not.
        least_gain: What the lower end must exceed for ``better``.
    """

    gain: float
    ci_low: float
    ci_high: float
    seeds: int
    answer: Answer
    failed: int = 0
    worst: float | None = field(default=None, metadata=LATER)
    texts: int = field(default=0, metadata=LATER)
    least_gain: float = field(default=0.0, metadata=LATER)
    texts_seeds: int = field(default=0, metadata=LATER)

    @property
    def is_small(self) -> bool:
        """Whether a lead is shown, and only the least relevant gain is not.

        Not where the answer was withheld for another reason: the interval reaches below it.
        """
        return (
            self.answer is Answer.NO_DIFFERENCE_SHOWN
            and self.seeds >= LEAST_PAIRS
            and 0.0 < self.ci_low <= self.least_gain
        )


@dataclass(frozen=True, slots=True)
class Controlled:
    """A vector that needs no search, at the same budget, and what the winner leads it by.

    Attributes:
        name: Of the control.
        rank_vector: The vector.
        parameters: Trainable parameters.
        comparison: The winner against it, on the seeds up to the first look; None where too much
            failed.
    """

    name: str
    rank_vector: RankVector
    parameters: int
    comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class RatePoint:
    """Scores on one seed at a multiple of the recipe's learning rate; None where it failed."""

    rate: float
    uniform: float | None
    winner: float | None

    @property
    def gain(self) -> float | None:
        """What the winner leads by."""
        if self.uniform is None or self.winner is None:
            return None
        return self.winner - self.uniform


@dataclass(frozen=True, slots=True)
class Rates:
    """Whether the gain hangs on the learning rate.

    Attributes:
        points: Lowest rate first.
        summary: What they say, in plain words.
        best: The multiple of the recipe's rate to recommend; 1 unless another is shown better.
    """

    points: tuple[RatePoint, ...]
    summary: str
    best: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The study's result; every score was measured on held-out data no trial was chosen by.

    Attributes:
        answer: The winner against uniform ranks at the same parameter budget.
        versus_uniform: The numbers behind ``answer``.
        best_rank_vector: The winner.
        best_score: Its mean score over the comparison's seeds.
        best_parameters: Its trainable parameters.
        uniform_rank_vector: The baseline.
        uniform_score: The baseline's mean score over the same seeds.
        uniform_parameters: Its trainable parameters.
        versus_random: The winner against the best of equally many random vectors, if asked for:
            this vector against that one, no promise of the search. ``better`` there asks for an
            interval above ``luck`` too.
        cheapest_rank_vector: The cheapest verified vector that is not worse than uniform: its
            interval lies above minus ``margin`` and not wholly below zero, and it did not fail
            where uniform did not. Uniform itself if no other qualifies.
        cheapest_parameters: Its trainable parameters.
        versus_uniform_cheapest: Its comparison with uniform; None when it is uniform itself.
        margin: Score loss that still counts as not worse: ``verify.margin``. In verdicts of before
            the standard deviation of the winner's paired differences to uniform.
        trials: Search trials that were finished.
        extensions: How often the study was extended, each time after an earlier answer.
        looks_before: Answers that others got, or may get, to the results the study began with.
        earlier: Results of another study that the search began with, beside ``trials``.
        unstated: Whether it was extended without anybody having stated what data and tokenizer its
            results were measured on: those of before may have been on others.
        luck: By how much the best of as many random vectors may lead that of another such draw,
            where scores are normal; more where few vectors stand out. 0 without random vectors, and
            in verdicts of before.
        controls: The winner against vectors that need no search, as ``verify.controls`` has them.
        rates: The winner and uniform at other learning rates, if ``verify.rates`` asks for it.
    """

    answer: Answer
    versus_uniform: Comparison
    best_rank_vector: RankVector
    best_score: float
    best_parameters: int
    uniform_rank_vector: RankVector
    uniform_score: float
    uniform_parameters: int
    versus_random: Comparison | None
    cheapest_rank_vector: RankVector
    cheapest_parameters: int
    versus_uniform_cheapest: Comparison | None
    margin: float
    trials: int
    extensions: int = field(default=0, metadata=LATER)
    looks_before: int = field(default=0, metadata=LATER)
    earlier: int = field(default=0, metadata=LATER)
    unstated: bool = field(default=False, metadata=LATER)
    luck: float = field(default=0.0, metadata=LATER)
    controls: tuple[Controlled, ...] = field(default=(), metadata=LATER)
    rates: Rates | None = field(default=None, metadata=LATER)

    @property
    def sentence(self) -> str:
        """What the answer means, in one sentence."""
        if self.versus_uniform.is_small:
            least = self.versus_uniform.least_gain
            return (
                "The searched ranks lead uniform ranks, but their lead is not shown to exceed the "
                f"least relevant gain of {least:.4f}."
            )
        return SENTENCES[self.answer]

    @property
    def caveat(self) -> str:
        """What an answer is worth that is not the first one; empty for a plain first one."""
        return " ".join(self._caveats())

    def _caveats(self) -> Iterator[str]:
        if self.extensions or self.looks_before:
            yield (
                f"The study {self._history}: this answer rests on fresh seeds alone, and its "
                "interval is wider because it is one more look. A false 'better' among all the "
                "answers is at most 5 % probable."
            )
        if self.earlier and self.versus_random is not None:
            yield (
                f"The search also knew {self.earlier:,} results of another study, for which no "
                "random vectors were run: the comparison with them flatters it."
            )
        if self.unstated:
            yield (
                "Nobody stated what data its results were measured on: those of before it was "
                "extended may be on others."
            )

    @property
    def _history(self) -> str:
        said = list[str]()
        if self.looks_before:
            answers = "one answer" if self.looks_before == 1 else f"{self.looks_before} answers"
            said.append(f"began with results that have {answers} elsewhere")
        if self.extensions:
            times = "once" if self.extensions == 1 else f"{self.extensions} times"
            said.append(f"was extended {times} after an earlier answer")
        return " and ".join(said)
