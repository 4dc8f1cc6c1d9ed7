"""Metrics: what a recovered model is evaluated on, read before anything is trained for it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch

from pruning.container.architecture import check_positions, positions
from rankspace.errors import CannotOpen, InvalidInput, cut
from rankspace.evaluation.metric_score import (
    LONGEST_FAILURE,
    MOST_GROUPS,
    MetricName,
    MetricScore,
)
from rankspace.evaluation.recovery_metric import (
    MOST_DOCUMENTS,
    RecoveryMetric,
    field_of,
)
from rankspace.observation import is_loss, is_margin
from tuning.evaluation.encoding import EncodedTask, encode_task
from tuning.evaluation.likelihood import OnProgress
from tuning.evaluation.metric_file import check_size
from tuning.evaluation.perplexity import (
    TokenStream,
    check_whole,
    measure_perplexity,
    read_tokens,
)
from tuning.evaluation.task import FIELD as TASK_FIELD
from tuning.evaluation.task import read_task
from tuning.evaluation.task_score import score_task
from tuning.evaluation.text_form import FIELD as TEXT_FIELD
from tuning.evaluation.text_form import TextForm, read_form
from tuning.file_hash import FileHashes
from tuning.measuring import groups
from tuning.reading.hub import check_cached, located
from tuning.training import autocast

Check = Callable[[str, str], None]
"""Refuses a file that a study may not read, by the field that names it and its path."""

DIGITS = 9
"""Of a sum in a report: the softmax before it is float32."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadText:
    """A text as the tokenizer of a study's model reads it, for its perplexity."""

    asked: RecoveryMetric
    sha256: str
    stream: TokenStream

    @property
    def name(self) -> MetricName:
        return "perplexity"

    def measure(self, model: Any, device: torch.device, told: OnProgress) -> MetricScore:
        """Measure ``model``, adapter and all; see ``measure_perplexity`` for the errors."""
        window, limit = self.asked.window_tokens, self.asked.limit
        found = measure_perplexity(
            model, self.stream, window, device, limit=limit, on_progress=told
        )
        counts, sums = _grouped(found.losses)
        _check_losses(counts, sums)
        return MetricScore(
            self.name,
            self.sha256,
            counts,
            sums,
            total=len(found.losses) + found.beyond,
            dropped=found.dropped,
            control=found.control,
        )


@dataclass(frozen=True, slots=True, eq=False)
class ReadTask:
    """A task as the tokenizer of a study's model reads it, for its accuracy."""

    asked: RecoveryMetric
    sha256: str
    encoded: EncodedTask

    @property
    def name(self) -> MetricName:
        """That of published tables, as ``TaskScore.headline`` has it."""
        return "acc_norm" if self.encoded.task.format.has_norm else "acc"

    def measure(self, model: Any, device: torch.device, told: OnProgress) -> MetricScore:
        """Measure ``model``, adapter and all; see ``score_task`` for the errors."""
        found = score_task(model, self.encoded, device, on_progress=told)
        metric = found.headline
        counts, right = _grouped([float(one.is_right(metric)) for one in found.documents])
        _, margins = _grouped([one.margin(metric) for one in found.documents])
        _check_margins(counts, margins)
        return MetricScore(
            self.name,
            self.sha256,
            counts,
            right,
            margins,
            total=found.rows,
            cut=found.cut,
            control=found.control,
        )


ReadMetric: TypeAlias = ReadText | ReadTask
"""A metric whose file was read."""


def read_metrics(
    asked: Sequence[RecoveryMetric], tokenizer: Any, config: Any, check: Check | None = None
) -> tuple[ReadMetric, ...]:
    """Read every file, one after the other, before anything is trained.

    Args:
        asked: By the study.
        tokenizer: Of its model.
        config: Of its model, as in ``config.json``.
        check: Refuses what is out of reach; None where whoever submits reads files of their own.

    Raises:
        InvalidInput: A file is of no use, or another one than was submitted; names the field.
        CannotOpen: This machine cannot read it.
    """
    return tuple(
        _read(field_of(index, metric), metric, tokenizer, config, check)
        for index, metric in enumerate(asked)
    )


def measure_metrics(
    read: Sequence[ReadMetric], model: Any, device: torch.device, beat: Callable[[], object]
) -> tuple[MetricScore, ...]:
    """Measure a model, adapter and all; ``beat`` is called as it goes on, and may raise.

    What cannot be measured of this model, because it is no number or memory runs out, is told in
    the score: the recovery was not for nothing.
    """

    def told(done: int, total: int) -> None:
        beat()

    with autocast(device, model.dtype):
        return tuple(_measured(one, model, device, told) for one in read)


def _measured(read: ReadMetric, model: Any, device: torch.device, told: OnProgress) -> MetricScore:
    try:
        return read.measure(model, device, told)
    except InvalidInput as error:
        return MetricScore(read.name, read.sha256, failure=cut(error.problem, LONGEST_FAILURE))


def _read(
    field: str, metric: RecoveryMetric, tokenizer: Any, config: Any, check: Check | None
) -> ReadMetric:
    try:
        path = located(field, metric.path)
        if check is not None:
            check(field, str(path))
        check_cached(field, metric.path)
        return _read_file(field, metric, path, tokenizer, config)
    except InvalidInput as error:
        raise _renamed(field, metric, error) from error


def _read_file(
    field: str, metric: RecoveryMetric, path: Path, tokenizer: Any, config: Any
) -> ReadMetric:
    check_size(field, metric, path)
    sha256 = FileHashes().of(field, str(path))
    metric = metric.confirmed(field, sha256)
    found: ReadMetric
    if metric.task is None:
        found = ReadText(metric, sha256, _stream(metric, path, tokenizer, config))
    else:
        found = ReadTask(metric, sha256, _encoded(metric, path, tokenizer, config))
    if FileHashes().of(field, str(path)) != sha256:
        problem, fix = "was written to while it was read", "wait until it is complete"
        raise CannotOpen(field, metric.path, problem, fix=fix)
    return found


def _stream(metric: RecoveryMetric, path: Path, tokenizer: Any, config: Any) -> TokenStream:
    form, window = TextForm(metric.form), metric.window_tokens
    check_positions("window", window, config)
    stream = read_tokens(metric.title, form, read_form(form, path), tokenizer)
    check_whole(stream, window)
    _check_few(metric, len(stream.tokens) // window, "windows")
    return stream


def _encoded(metric: RecoveryMetric, path: Path, tokenizer: Any, config: Any) -> EncodedTask:
    task = read_task(path, metric.limit, name=metric.title)
    _check_few(metric, task.rows, "documents")
    return encode_task(tokenizer, task, positions(config))


def _check_few(metric: RecoveryMetric, count: int, what: str) -> None:
    if metric.limit is None and count > MOST_DOCUMENTS:
        problem = f"leaves {count:,} {what}, more than the {MOST_DOCUMENTS:,} that are measured"
        fix = f"write limit: {MOST_DOCUMENTS}, which takes the first ones"
        raise InvalidInput("limit", metric.limit, problem, fix=fix)


def _renamed(field: str, metric: RecoveryMetric, error: InvalidInput) -> InvalidInput:
    """The same, as the study file calls it: on a command line the fields are options."""
    fix = error.hint.replace("--window", "window")
    group, _, _ = field.rpartition(".")
    if error.field in ("window", "limit"):
        return type(error)(f"{group}.{error.field}", error.value, error.problem, fix=fix)
    place = error.field
    for name in (TEXT_FIELD, TASK_FIELD, field):
        place = place.removeprefix(name)
    return type(error)(f"{field}{place}", metric.path, error.problem, fix=fix)


def _grouped(values: Sequence[float]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """How many values each group has, and their sum."""
    parts = groups(values, MOST_GROUPS)
    sums = (float(f"{math.fsum(part):.{DIGITS}g}") for part in parts)
    return tuple(map(len, parts)), tuple(sums)


def _check_losses(counts: Sequence[int], sums: Sequence[float]) -> None:
    """A loss that no report may have is no number to work with."""
    for count, total in zip(counts, sums, strict=True):
        if not is_loss(total / count):
            problem = f"the mean loss of a window is {total / count:g} nats, which no model has"
            raise InvalidInput("loss", total / count, problem, fix="check the weights")


def _check_margins(counts: Sequence[int], sums: Sequence[float]) -> None:
    """A lead that no report may have comes of likelihoods that are none."""
    for count, total in zip(counts, sums, strict=True):
        if not is_margin(total / count):
            problem = f"the right choice leads by {total / count:g} nats, which no model does"
            raise InvalidInput("margin", total / count, problem, fix="check the weights")
