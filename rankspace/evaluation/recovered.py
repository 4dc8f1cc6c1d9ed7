"""Recovered: what the recovered models of a study score on the metrics that it asks for."""

from collections.abc import Iterator
from dataclasses import dataclass

from rankspace.evaluation.metric_score import MetricName
from rankspace.evaluation.recovery_metric import RecoveryMetric


@dataclass(frozen=True, slots=True)
class RecoveredScore:
    """What one vector scores after the whole recipe.

    Attributes:
        model: ``pruned`` without any adapter, ``uniform``, ``winner`` or ``cheapest``.
        value: A perplexity or a share of right answers, the mean over seeds; of a perplexity the
            exponential of the mean loss. None where nothing was measured, or it is beyond any
            number.
        error: Its standard error, over documents and, with two seeds or more, over seeds; None of
            fewer than two documents.
        seeds: That were measured.
        by_seed: The value on each of them.
        failures: Why others could not be, each once.
    """

    model: str
    value: float | None
    error: float | None
    seeds: int
    by_seed: tuple[float | None, ...] = ()
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RecoveredDifference:
    """The winner minus uniform ranks, in pairs: each seed, and on it each document, by itself.

    Attributes:
        mean: Of accuracies the difference; of perplexities that of mean losses, in nats.
        error: Its standard error, as of ``RecoveredScore``.
        seeds: Pairs of recoveries.
        by_seed: The difference on each.
        margin: Of a task the mean difference of the margins, in nats (``acc_norm``: per
            character).
        margin_error: Its standard error.
    """

    mean: float
    error: float | None
    seeds: int
    by_seed: tuple[float, ...]
    margin: float | None = None
    margin_error: float | None = None


@dataclass(frozen=True, slots=True)
class RecoveredMetric:
    """One metric, and what each recovered model scores on it.

    Attributes:
        metric: As the study asks for it.
        title: What a person calls it.
        name: What was measured; None before anything was.
        documents: Windows or documents that were measured.
        total: Those that the file has.
        groups: In which they are told and paired; as many as documents where there are few.
        scores: Of each model.
        difference: The winner minus uniform ranks; None where there are no pairs.
        remark: Why there is no difference, and what a reader must know of the numbers.
    """

    metric: RecoveryMetric
    title: str
    name: MetricName | None
    documents: int
    total: int
    groups: int
    scores: tuple[RecoveredScore, ...]
    difference: RecoveredDifference | None
    remark: str

    @property
    def heading(self) -> str:
        """What was measured, on what, and on how much of it."""
        if self.name is None:
            return self.title
        what = "windows" if self.metric.task is None else "documents"
        grouped = "" if self.groups == self.documents else f" in {self.groups:,} groups"
        told = f"{self.title}, {self.documents:,} {what}{grouped}"
        return f"perplexity of {told}" if self.metric.task is None else f"{self.name} of {told}, %"

    @property
    def rows(self) -> tuple[tuple[str, str, str], ...]:
        """Lines of a table: what was measured, its value, and that on each seed, as text."""
        shown = [self._score_row(one) for one in self.scores]
        return (*shown, *self._difference_rows())

    def _score_row(self, one: RecoveredScore) -> tuple[str, str, str]:
        label = one.model if one.model == "pruned" else f"{one.model}, recovered"
        by_seed = ", ".join(map(self._number, one.by_seed)) if one.seeds > 1 else ""
        told = "; ".join(filter(None, (by_seed, *(f"failed: {why}" for why in one.failures))))
        return label, self._number(one.value) + self._error(one.error), told

    def _difference_rows(self) -> Iterator[tuple[str, str, str]]:
        found = self.difference
        if found is None:
            return
        pairs = f"{found.seeds} pairs" if found.seeds > 1 else "1 pair"
        each = ", ".join(map(self._signed, found.by_seed))
        by_seed = f"{pairs}: {each}" if found.seeds > 1 else pairs
        if self.metric.task is None:
            mean = f"{self._signed(found.mean)}{_plus_minus(found.error, 4)}"
            yield "winner − uniform, mean loss in nats", mean, by_seed
            return
        yield "winner − uniform", f"{self._signed(found.mean)}{self._error(found.error)}", by_seed
        if found.margin is not None:
            lead = f"{found.margin:+.4f}{_plus_minus(found.margin_error, 4)}"
            yield "winner − uniform, margin in nats", lead, pairs

    def _number(self, value: float | None) -> str:
        if value is None:
            return "-"
        return f"{self._scale * value:,.2f}"

    def _signed(self, value: float) -> str:
        return f"{value:+.4f}" if self.metric.task is None else f"{100 * value:+.2f}"

    def _error(self, error: float | None) -> str:
        return _plus_minus(None if error is None else self._scale * error, 2)

    @property
    def _scale(self) -> float:
        """Shares are shown in per cent."""
        return 1.0 if self.metric.task is None else 100.0


@dataclass(frozen=True, slots=True)
class Recovered:
    """All of it.

    Attributes:
        metrics: In the order in which the study asks for them; empty where it asks for none.
        remarks: What holds for all of them.
    """

    metrics: tuple[RecoveredMetric, ...]
    remarks: tuple[str, ...] = ()


def _plus_minus(error: float | None, digits: int) -> str:
    return "" if error is None else f" ± {error:,.{digits}f}"
