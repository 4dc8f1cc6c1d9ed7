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
class RecoveredPair:
    """Scores on one seed after the whole recipe; None where the recovery failed."""

    seed: int
    uniform: float | None
    winner: float | None


@dataclass(frozen=True, slots=True)
class RecipeVerdict:
    """The winner against uniform ranks after the whole recipe, on data no trial was chosen by.

    Attributes:
        comparison: Paired seed by seed; None where fewer than two pairs scored.
        pairs: What was recovered, and what it scored.
        uniform_score: Mean of uniform over the pairs that scored; None without any.
        winner_score: Mean of the winner, likewise.
        pruned_score: Of the pruned model as it is, on the same texts; None where that failed.
    """

    comparison: Comparison | None
    pairs: tuple[RecoveredPair, ...]
    uniform_score: float | None
    winner_score: float | None
    pruned_score: float | None = None

    @property
    def losses(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """What was scored, its mean held-out loss in nats, and that on each seed, as text."""
        uniform = tuple(_loss(one.uniform) for one in self.pairs)
        winner = tuple(_loss(one.winner) for one in self.pairs)
        return (
            ("pruned", _loss(self.pruned_score), ()),
            ("uniform, recovered", _loss(self.uniform_score), uniform),
            ("winner, recovered", _loss(self.winner_score), winner),
        )

    @property
    def answer(self) -> Answer:
        """Of the comparison; nothing is shown without one."""
        return self.comparison.answer if self.comparison else Answer.NO_DIFFERENCE_SHOWN

    @property
    def sentence(self) -> str:
        """What the answer means, and what an open one is due to."""
        found = self.comparison
        if found is None or found.seeds < LEAST_PAIRS:
            scored = found.seeds if found else self._scored
            return (
                f"The whole recipe is not judged: {scored} of {len(self.pairs)} seeds scored both "
                f"the winner and uniform ranks, and fewer than {LEAST_PAIRS} pairs claim nothing. "
                "Mend what failed, then extend the study with fresh seeds."
            )
        if found.answer is Answer.NO_DIFFERENCE_SHOWN:
            return self._withheld(found) or RECIPE_SENTENCES[found.answer] + _doubt(found)
        return RECIPE_SENTENCES[found.answer]

    def _withheld(self, found: Comparison) -> str:
        """What the pairs show that scored, where who leads failed on others; empty otherwise."""
        lost = [(one.winner is None, one.uniform is None) for one in self.pairs]
        if found.ci_low > found.least_gain:
            who, rival, failed = "the searched ranks", "uniform ranks", lost.count((True, False))
        elif found.ci_high < 0.0:
            who, rival, failed = "uniform ranks", "the searched ranks", lost.count((False, True))
        else:
            return ""
        return (
            f"After the whole recipe {who} lead where both scored, but failed on {failed} of "
            f"{len(self.pairs)} seeds on which {rival} did not: so no lead is claimed."
        )

    @property
    def _scored(self) -> int:
        return sum(one.uniform is not None and one.winner is not None for one in self.pairs)


def _doubt(found: Comparison) -> str:
    """Why it cannot be told."""
    if found.is_small:
        least = found.least_gain
        return f" They lead, by no more than the least relevant gain of {least:.4f} for sure."
    return (
        f" {found.seeds} pairs leave {found.seeds - 1} degrees of freedom, which shows only "
        "what is large beside the noise; more verify.recipe_seeds see more."
    )


def _loss(score: float | None) -> str:
    return "failed" if score is None else f"{-score:.4f}"


RECIPE_SENTENCES: Mapping[Answer, str] = MappingProxyType(
    {
        Answer.BETTER: "After the whole recipe the searched ranks are better than uniform ranks.",
        Answer.NO_DIFFERENCE_SHOWN: "After the whole recipe they cannot be told from uniform "
        "ranks.",
        Answer.WORSE: "After the whole recipe the searched ranks are worse than uniform ranks.",
    }
)


AGAINST: Mapping[Answer, str] = MappingProxyType(
    {
        Answer.BETTER: "The trials show no gain, the whole recipe shows one.",
        Answer.WORSE: "The trials could not tell, the whole recipe ends with a loss.",
    }
)
"""What a whole recipe says against trials that were not ``better``."""


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
        recipe: The winner and uniform after the whole recipe, if ``verify.at`` asks for it; None
            until then, and where the winner is uniform itself.
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
    recipe: RecipeVerdict | None = field(default=None, metadata=LATER)

    @property
    def recovered(self) -> RankVector:
        """What the adapter to export is of.

        Where the whole recipe was judged, one of the two it compared: the winner if either line
        says better and the recipe does not say worse, else uniform. Else the winner if it is
        better in the trials, or the cheapest vector that is not worse in them; uniform where that
        is without any adapter: it leaves nothing to train or export.
        """
        answers = (self.answer, self.recipe.answer if self.recipe else self.answer)
        if Answer.BETTER in answers and answers[-1] is not Answer.WORSE:
            return self.best_rank_vector
        is_trained = any(self.cheapest_rank_vector.ranks) and self.recipe is None
        return self.cheapest_rank_vector if is_trained else self.uniform_rank_vector

    @property
    def contradiction(self) -> str:
        """What the whole recipe says against the trials, to be said first; empty if nothing."""
        if self.recipe is None or self.recipe.answer is self.answer:
            return ""
        if self.answer is Answer.BETTER:
            if self.recipe.answer is Answer.WORSE:
                return "The gain does not last the whole recipe: uniform ranks end ahead."
            return "The gain of the trials is not shown to last the whole recipe."
        return AGAINST.get(self.recipe.answer, "")

    @property
    def is_better(self) -> bool:
        """Whether it says better, and the whole recipe too where it was judged."""
        lasts = self.recipe is None or self.recipe.answer is Answer.BETTER
        return lasts and self.answer is Answer.BETTER

    def awaited(self, at: str, *, is_over: bool) -> str:
        """Why the whole recipe is not judged that ``verify.at`` asks for; empty if nothing lacks.

        Args:
            at: As the study has it.
            is_over: Whether the study has ended, so that nothing more comes of this.
        """
        if at != "recipe" or self.recipe is not None:
            return ""
        if self.best_rank_vector == self.uniform_rank_vector:
            return "The winner is uniform ranks themselves: the whole recipe compares nothing."
        if is_over:
            return "The study ended before the whole recipe was judged."
        return "The whole recipe is still to be judged; this answer is of the trials alone."

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
                f"answers {self._of_lines}is at most 5 % probable."
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
    def _of_lines(self) -> str:
        """Each line spends its own error."""
        return "of each line, the trials' and the whole recipe's, " if self.recipe else ""

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
