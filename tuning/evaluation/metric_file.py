"""The file of a metric of recovered models: how large it may be."""

from pathlib import Path

from rankspace.errors import InvalidInput
from rankspace.evaluation.recovery_metric import RecoveryMetric
from tuning.reading.records import is_small
from tuning.reading.source import Source


def check_size(field: str, metric: RecoveryMetric, path: Path) -> None:
    """Check that the file of ``metric``, which is at ``path``, can be read in one go.

    Raises:
        InvalidInput: It is too large, or no such file; ``field`` names it.
        CannotOpen: This machine cannot read it.
    """
    if is_small(Source(field, path), metric.most_bytes):
        return
    what = "a text is tokenised in one go" if metric.task is None else "its rows are kept"
    problem = f"has more than {metric.most_bytes // 2**20} MiB, unpacked, and {what}"
    raise InvalidInput(field, metric.path, problem, fix="give a part of it")
