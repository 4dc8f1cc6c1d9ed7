"""PairedDifference: two models on the same documents or windows, one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from rankspace.errors import InvalidInput
from tuning.evaluation.perplexity import Perplexity
from tuning.evaluation.standard_error import standard_error
from tuning.evaluation.task_score import Metric, TaskScore


@dataclass(frozen=True, slots=True)
class PairedDifference:
    """The mean of what one model scores above another on the same items.

    Attributes:
        mean: Of accuracies the difference; of perplexities that of mean losses, in nats.
        error: Its standard error over items; None of fewer than two.
        items: Documents or windows.
        changed: Documents that are answered otherwise; None of windows.
        gained: Documents that only the first model answers right; None of windows.
        lost: Documents that only the second one does; None of windows.
    """

    mean: float
    error: float | None
    items: int
    changed: int | None = None
    gained: int | None = None
    lost: int | None = None


def compare_tasks(one: TaskScore, other: TaskScore, metric: Metric) -> PairedDifference:
    """Compare the accuracy of ``one`` with that of ``other``, document by document.

    Raises:
        InvalidInput: They are not of the same documents.
    """
    pairs = list(zip(one.documents, other.documents, strict=False))
    is_same = len(one.documents) == len(other.documents)
    if not is_same or any(a.document != b.document for a, b in pairs):
        problem = "was scored on other documents than what it is compared with"
        raise InvalidInput("tasks", one.name, problem, fix="score both on the same file")
    right = [(a.is_right(metric), b.is_right(metric)) for a, b in pairs]
    mean, error = _mean([float(a - b) for a, b in right])
    return PairedDifference(
        mean,
        error,
        len(pairs),
        changed=sum(a.chosen(metric) != b.chosen(metric) for a, b in pairs),
        gained=sum(a > b for a, b in right),
        lost=sum(a < b for a, b in right),
    )


def are_alike(one: Perplexity, other: Perplexity) -> bool:
    """Whether both were measured on the same tokens in the same windows, and on any.

    Perplexities of different tokenizers are of different things.
    """
    is_same = (one.tokens_hash, one.window) == (other.tokens_hash, other.window)
    return is_same and len(one.losses) == len(other.losses) > 0


def compare_perplexities(one: Perplexity, other: Perplexity) -> PairedDifference:
    """Compare the mean losses of ``one`` and ``other``, window by window; negative is better.

    Raises:
        InvalidInput: They are not alike.
    """
    if not are_alike(one, other):
        problem = "has other tokens or windows than what it is compared with, or none"
        raise InvalidInput("perplexity", one.text, problem, fix="measure both on the same tokens")
    mean, error = _mean([a - b for a, b in zip(one.losses, other.losses, strict=True)])
    return PairedDifference(mean, error, len(one.losses))


def _mean(differences: Sequence[float]) -> tuple[float, float | None]:
    return fmean(differences), standard_error(differences)
