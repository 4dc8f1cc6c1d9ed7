"""TaskScore: what a model answers to each document of a task, and how often that is right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean
from typing import Any

import torch

from tuning.evaluation.document import Document
from tuning.evaluation.encoding import EncodedTask
from tuning.evaluation.likelihood import BATCH_TOKENS, OnProgress, log_likelihoods, silent
from tuning.evaluation.standard_error import standard_error


class Metric(StrEnum):
    """What an answer is chosen by: the log-likelihood, or that per length of the choice.

    ``acc_norm`` divides by characters, as lm-evaluation-harness does under this name;
    ``acc_bytes`` by bytes of UTF-8, which of other scripts are more.
    """

    ACC = "acc"
    ACC_NORM = "acc_norm"
    ACC_BYTES = "acc_bytes"


@dataclass(frozen=True, slots=True)
class ScoredDocument:
    """One document and its choices' log-likelihoods.

    Attributes:
        document: What was asked.
        scores: Log-likelihood of each choice's ending, in nats.
    """

    document: Document
    scores: tuple[float, ...]

    def values(self, metric: Metric) -> tuple[float, ...]:
        """Return what each choice is worth by ``metric``."""
        pairs = zip(self.scores, self.document.choices, strict=True)
        return tuple(score / _LENGTHS[metric](choice) for score, choice in pairs)

    def chosen(self, metric: Metric) -> int:
        """Return the index of the answer; of equals the first, as in lm-evaluation-harness."""
        values = self.values(metric)
        return values.index(max(values))

    def is_right(self, metric: Metric) -> bool:
        return self.chosen(metric) == self.document.answer

    def margin(self, metric: Metric) -> float:
        """Return by how much the right choice leads the best wrong one; negative if it trails."""
        values = self.values(metric)
        right = self.document.answer
        return values[right] - max(value for i, value in enumerate(values) if i != right)


@dataclass(frozen=True, slots=True)
class TaskScore:
    """A model's answers to one task.

    Attributes:
        name: Of the task.
        format: What its rows are.
        metrics: Which are published of it.
        remark: See ``TaskFormat``.
        documents: In the order of the file.
        rows: Of the file; more than documents where a limit was set.
        cut: See ``EncodedTask``.
        control: See ``EncodedTask``.
    """

    name: str
    format: str
    metrics: tuple[Metric, ...]
    remark: str
    documents: tuple[ScoredDocument, ...]
    rows: int
    cut: int
    control: int

    def accuracy(self, metric: Metric) -> float:
        return fmean(document.is_right(metric) for document in self.documents)

    def error(self, metric: Metric) -> float | None:
        """Standard error of the accuracy over documents; None of fewer than two."""
        return standard_error([float(document.is_right(metric)) for document in self.documents])

    @property
    def headline(self) -> Metric:
        """The normalised accuracy where there is one, as tables of pruned models have it."""
        return Metric.ACC_NORM if Metric.ACC_NORM in self.metrics else Metric.ACC


def score_task(
    model: Any,
    encoded: EncodedTask,
    device: torch.device,
    *,
    batch_tokens: int = BATCH_TOKENS,
    on_progress: OnProgress = silent,
) -> TaskScore:
    """Score every choice of every document; see ``log_likelihoods``."""
    task = encoded.task
    places = [one.place for one in task.documents for _ in one.choices]
    found = log_likelihoods(
        model,
        encoded.examples,
        device,
        batch_tokens=batch_tokens,
        on_progress=on_progress,
        named=lambda index: f"{task.name}, {places[index]},",
    )
    return TaskScore(
        name=task.name,
        format=task.format.name,
        metrics=tuple(Metric) if task.format.has_norm else (Metric.ACC,),
        remark=task.format.remark,
        documents=_grouped(task.documents, found),
        rows=task.rows,
        cut=encoded.cut,
        control=encoded.control,
    )


def _grouped(documents: Sequence[Document], scores: Sequence[float]) -> tuple[ScoredDocument, ...]:
    grouped, at = [], 0
    for document in documents:
        end = at + len(document.choices)
        grouped.append(ScoredDocument(document, tuple(scores[at:end])))
        at = end
    return tuple(grouped)


_LENGTHS: dict[Metric, Callable[[str], int]] = {
    Metric.ACC: lambda choice: 1,
    Metric.ACC_NORM: len,
    Metric.ACC_BYTES: lambda choice: len(choice.encode()),
}
