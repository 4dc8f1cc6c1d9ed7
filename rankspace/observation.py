"""Measurement: the raw numbers of one run. Observation: what the performance model learns from.

DataCounts: what the run's data came to. TextLosses: the loss by held-out text. Taught: what other
studies observed on the same layers. Surveyed: what a survey says of one vector.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from rankspace.data_shape import SHAPES, ShapeName
from rankspace.errors import InvalidInput
from rankspace.evaluation.metric_score import MetricScore
from rankspace.rank_vector import MOST_RANK, RankVector
from rankspace.wire import LATER

MOST_NATS = 1e6
"""A loss beyond it is no loss of a model: guessing among a million tokens costs 14 nats."""

ROUNDING = 1e-6
"""How far below zero rounding may put a loss."""

MOST_ROWS = 1_000
"""A round of offline learning looks at all of them."""

MOST_TAUGHT_RANKS = 64_000
"""In all vectors: a body of some hundred kilobytes, and seconds of offline learning."""

MOST_DEVIATIONS = 10.0

LOSSY = 0.1
"""Share of the rows that may be dropped before it is a matter of concern."""


def is_loss(value: float) -> bool:
    """Whether ``value`` can be a mean cross-entropy, in nats."""
    return -ROUNDING <= value <= MOST_NATS


def is_margin(value: float) -> bool:
    """Whether ``value`` can be the mean lead of right choices over wrong ones, in nats."""
    return abs(value) <= MOST_NATS


@dataclass(frozen=True, slots=True)
class DataCounts:
    """What became of the rows of a training file, and where its examples went.

    Attributes:
        rows: Of the file; of plain text, windows.
        dropped: Rows that leave no answer within the sequence length.
        cut: Examples that lack the end of their row.
        repeats: Examples that say the same as an earlier one, white space aside.
        train: Examples to train on.
        selection: Examples held out for choosing.
        final: Examples held out for the final scores.
        row_tokens: Tokens of the longest row, uncut.
        example_tokens: Tokens of the longest example.
        positions: Tokens the model is made for; 0 where nobody says.
        shape: What the rows were recognised as; None from workers of before.
        empty: Rows with an answer that says nothing.
        control: How often texts spell a control token, which is taken for text.
        tokens: Of all examples.
    """

    rows: int
    dropped: int
    cut: int
    repeats: int
    train: int
    selection: int
    final: int
    row_tokens: int
    example_tokens: int
    positions: int = 0
    shape: ShapeName | None = field(default=None, metadata=LATER)
    empty: int = field(default=0, metadata=LATER)
    control: int = field(default=0, metadata=LATER)
    tokens: int = field(default=0, metadata=LATER)

    @property
    def examples(self) -> int:
        """Of all three parts."""
        return self.train + self.selection + self.final

    @property
    def is_worrying(self) -> bool:
        """Whether much is lost, or the model sees what it was not made for."""
        return self.dropped > LOSSY * self.rows or self._is_beyond

    @property
    def sentence(self) -> str:
        """All of it in words, what is nought left out."""
        return "; ".join(self._clauses())

    @property
    def _is_beyond(self) -> bool:
        return 0 < self.positions < self.example_tokens

    def _clauses(self) -> Iterator[str]:
        if self.shape:
            yield f"{self.rows:,} {SHAPES[self.shape]}"
        halves = f"{self.selection:,} held out to choose by, {self.final:,} for the final scores"
        yield f"{self.train:,} examples to train on, {halves}"
        if self.tokens:
            yield f"{self.tokens:,} tokens in all"
        yield from self._flaws()

    def _flaws(self) -> Iterator[str]:
        if self.dropped:
            share = f"{self.dropped:,} of {self.rows:,} rows ({self.dropped / self.rows:.0%})"
            yield f"{share} dropped, which leave no answer within the sequence length"
        if self.cut:
            yield f"{self.cut:,} cut (the longest row has {self.row_tokens:,} tokens)"
        if self.repeats:
            yield f"{self.repeats:,} repeat others and stay on their side"
        if self.empty:
            yield f"{self.empty:,} rows have an answer that says nothing"
        if self.control:
            yield f"control tokens are spelled {self.control:,} times, and taken for text"
        if self._is_beyond:
            yield (
                f"examples have up to {self.example_tokens:,} tokens, the model is made for "
                f"{self.positions:,}"
            )


MOST_TEXTS = 256
"""Groups of held-out texts whose losses are reported, at most."""


@dataclass(frozen=True, slots=True)
class TextLosses:
    """The held-out loss, text by text: what says how far it hangs on the texts at hand.

    Many texts are told in groups, whose order is the same for all trials on the same data.

    Attributes:
        losses: Sum of the token losses of each group, in nats.
        tokens: Predicted tokens of each, at least 1.
    """

    losses: tuple[float, ...]
    tokens: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Loss per token, over all of them."""
        return math.fsum(self.losses) / sum(self.tokens)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a worker measured in one trial.

    Attributes:
        score: The study's metric as *higher is better* (minus the loss, for a loss).
        loss: Mean next-token loss on the trial's held-out split, in nats.
        train_loss: Mean training loss over the last tenth of the steps, in nats.
        steps: Optimiser steps taken.
        tokens: Training tokens seen, padding excluded.
        parameters: Trainable parameters of the adapter.
        seconds: Wall clock by phase: ``load``, ``attach``, ``train``, ``evaluate``,
            and of a recovery with metrics ``metrics``.
        peak_bytes: Peak memory of the device (GPU) or of the process (CPU).
        versions: Library versions the numbers depend on.
        data: What the data came to, in a report only: the service keeps it with the study. None
            from workers of before.
        texts: The loss by text, where the assignment asks for it.
        scores: Of a survey, one for each vector that was to be scored, in that order.
        metrics: Of a recovery, one for each metric that was asked for, in that order.
    """

    score: float
    loss: float
    train_loss: float
    steps: int
    tokens: int
    parameters: int
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_bytes: int = 0
    versions: Mapping[str, str] = field(default_factory=dict)
    data: DataCounts | None = field(default=None, metadata=LATER)
    texts: TextLosses | None = field(default=None, metadata=LATER)
    scores: tuple[float, ...] = field(default=(), metadata=LATER)
    metrics: tuple[MetricScore, ...] = field(default=(), metadata=LATER)


@dataclass(frozen=True, slots=True)
class Observation:
    """One finished trial as the performance model sees it.

    Attributes:
        rank_vector: What was tried.
        score: Higher is better, finite; None when the trial failed.
        seed: Seed of initialisation and data order; equal seeds make scores comparable in pairs.
        fidelity: Share of the full recipe's steps that was trained, in (0, 1].
    """

    rank_vector: RankVector
    score: float | None
    seed: int = 0
    fidelity: float = 1.0

    def __post_init__(self) -> None:
        if self.score is not None and not math.isfinite(self.score):
            raise InvalidInput(
                "score", self.score, "is not finite", fix="give None: the trial failed"
            )
        if not 0.0 < self.fidelity <= 1.0:
            raise InvalidInput(
                "fidelity", self.fidelity, "must be above 0 and at most 1", fix="use 1.0"
            )


@dataclass(frozen=True, slots=True)
class Taught:
    """Trials of other studies; rows of one study have one seed, and their own unit.

    Attributes:
        vectors: Ranks of every layer, in the order of this study's layers.
        scores: One for each vector, in standard deviations of its study's scores around their
            median; beyond 10 they count as 10.

    Raises:
        InvalidInput: Not one score per vector, vectors of several lengths, too many, or numbers
            out of bounds.
    """

    vectors: tuple[tuple[int, ...], ...]
    scores: tuple[float, ...]

    def __post_init__(self) -> None:
        rows, layers = len(self.vectors), len(self.vectors[0]) if self.vectors else 0
        if not layers:
            raise InvalidInput("vectors", rows, "say nothing", fix="give trials, or no prior")
        if rows > MOST_ROWS or rows * layers > MOST_TAUGHT_RANKS:
            problem = f"are too many on {layers:,} layers"
            fix = f"use {min(MOST_ROWS, MOST_TAUGHT_RANKS // layers):,} or fewer"
            raise InvalidInput("vectors", rows, problem, fix=fix)
        if len(self.scores) != rows:
            problem = f"are not one for each of {rows:,} vectors"
            raise InvalidInput("scores", len(self.scores), problem, fix="give one per vector")
        for index, vector in enumerate(self.vectors):
            self._check(index, vector, layers)

    def _check(self, index: int, vector: tuple[int, ...], layers: int) -> None:
        if len(vector) != layers:
            problem = f"has {len(vector)} ranks, the first one {layers}"
            fix = "give each vector a rank for every layer"
            raise InvalidInput(f"vectors[{index}]", list(vector), problem, fix=fix)
        if not 0 <= min(vector) <= max(vector) <= MOST_RANK:
            problem = f"has a rank that is not 0 to {MOST_RANK:,}"
            raise InvalidInput(f"vectors[{index}]", list(vector), problem, fix="leave it out")
        score = self.scores[index]
        if not -MOST_DEVIATIONS <= score <= MOST_DEVIATIONS:
            problem = f"is not within {MOST_DEVIATIONS:g} of 0"
            fix = "give standard deviations of its study's scores"
            raise InvalidInput(f"scores[{index}]", score, problem, fix=fix)


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What the survey says of one rank vector; ``score`` is higher when better, and finite."""

    rank_vector: RankVector
    score: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.score):
            raise InvalidInput("score", self.score, "is not finite", fix="leave the vector out")
