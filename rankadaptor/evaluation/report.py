"""The report of one evaluation, or of two and their differences, for a program."""

from collections.abc import Iterator, Sequence
from statistics import fmean
from typing import Any

from rankadaptor.evaluation.evaluation import Evaluation
from tuning.evaluation.paired import (
    PairedDifference,
    are_alike,
    compare_perplexities,
    compare_tasks,
)
from tuning.evaluation.perplexity import Perplexity
from tuning.evaluation.standard_error import error_of_mean
from tuning.evaluation.task_score import Metric, ScoredDocument, TaskScore

MEAN = "headline"
"""What is averaged over tasks: of each the normalised accuracy where it has one, else the plain."""


def report(
    evaluation: Evaluation, other: Evaluation | None, failure: Exception | None = None
) -> dict[str, Any]:
    """Return all there is, JSON types only but for dataclasses of numbers.

    ``failure`` is what stopped the rest.
    """
    return {
        "evaluation": _evaluation(evaluation),
        "against": None if other is None else _evaluation(other),
        "differences": None if other is None else _differences(evaluation, other),
        "failure": failure and {"error": type(failure).__name__, "detail": str(failure)},
    }


def paired_perplexities(
    one: Evaluation, other: Evaluation
) -> Iterator[tuple[Perplexity, Perplexity | None, PairedDifference | None]]:
    """Yield every perplexity with that of the other model, and the difference where there is one.

    There is none between models that tokenise a text otherwise.
    """
    by_place = {(p.text, p.form, p.window): p for p in other.perplexities}
    for perplexity in one.perplexities:
        found = by_place.get((perplexity.text, perplexity.form, perplexity.window))
        difference = None
        if found is not None and are_alike(perplexity, found):
            difference = compare_perplexities(perplexity, found)
        yield perplexity, found, difference


def paired_tasks(
    one: Evaluation, other: Evaluation
) -> Iterator[tuple[TaskScore, TaskScore, PairedDifference]]:
    """Yield every task with the other model's and the difference of the headline accuracies."""
    for task, theirs in zip(one.tasks, other.tasks, strict=False):  # either may be unfinished
        yield task, theirs, compare_tasks(task, theirs, task.headline)


def mean_of_tasks(tasks: Sequence[TaskScore]) -> tuple[float, float | None]:
    """Return the mean of the headline accuracies of at least one task, and its standard error."""
    value = fmean(task.accuracy(task.headline) for task in tasks)
    return value, error_of_mean([task.error(task.headline) for task in tasks])


def mean_difference(differences: Sequence[PairedDifference]) -> tuple[float, float | None]:
    """Return the mean of differences of at least one task, and its standard error."""
    errors = [difference.error for difference in differences]
    return fmean(difference.mean for difference in differences), error_of_mean(errors)


def _evaluation(found: Evaluation) -> dict[str, Any]:
    base, added = found.parameters
    adapter = found.subject.adapter
    mean = mean_of_tasks(found.tasks) if found.tasks else None
    return {
        "model": str(found.subject.model),
        "adapter": None if adapter is None else str(adapter),
        "fingerprint": found.fingerprint,
        "parameters": base,
        "adapter_parameters": added,
        "dtype": found.dtype,
        "device": found.device,
        "peak_bytes": found.peak_bytes,
        "begins_with_bos": found.begins,
        "limit": found.limit,
        "perplexity": [_perplexity(one) for one in found.perplexities],
        "tasks": [_task(one) for one in found.tasks],
        "mean": mean
        and {"metric": MEAN, "tasks": len(found.tasks), "value": mean[0], "error": mean[1]},
        "remarks": list(found.remarks),
    }


def _perplexity(one: Perplexity) -> dict[str, Any]:
    return {
        "text": one.text,
        "form": one.form,
        "window": one.window,
        "perplexity": one.value,
        "mean_loss": one.mean_loss,
        "error": one.error,
        "windows": len(one.losses),
        "windows_beyond_limit": one.beyond,
        "tokens": one.tokens,
        "predicted": one.predicted,
        "dropped": one.dropped,
        "special_tokens": one.special,
        "control_tokens_spelled": one.control,
        "tokens_hash": one.tokens_hash,
        "losses": one.losses,
    }


def _task(one: TaskScore) -> dict[str, Any]:
    return {
        "task": one.name,
        "format": one.format,
        "remark": one.remark,
        "headline": one.headline,
        "metrics": {
            metric: {"value": one.accuracy(metric), "error": one.error(metric)}
            for metric in one.metrics
        },
        "rows": one.rows,
        "contexts_cut": one.cut,
        "control_tokens_spelled": one.control,
        "documents": [_document(document, one.metrics) for document in one.documents],
    }


def _document(one: ScoredDocument, metrics: Sequence[Metric]) -> dict[str, Any]:
    return {
        "place": one.document.place,
        "answer": one.document.answer,
        "scores": one.scores,
        "chosen": {metric: one.chosen(metric) for metric in metrics},
        "margin": {metric: one.margin(metric) for metric in metrics},
    }


def _differences(one: Evaluation, other: Evaluation) -> dict[str, Any]:
    tasks = list(paired_tasks(one, other))
    mean = mean_difference([difference for _, _, difference in tasks]) if tasks else None
    return {
        "perplexity": [
            {"text": a.text, "form": a.form, "window": a.window, "mean_loss": difference}
            for a, _, difference in paired_perplexities(one, other)
        ],
        "tasks": [
            {
                "task": a.name,
                "headline": a.headline,
                "metrics": {metric: compare_tasks(a, b, metric) for metric in a.metrics},
            }
            for a, b, _ in tasks
        ],
        "mean": mean
        and {"metric": MEAN, "tasks": len(tasks), "difference": mean[0], "error": mean[1]},
    }
