"""Plausibility: whether a measurement can be that of the trial it is reported for."""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass

from rankspace import Measurement
from rankspace.errors import InvalidInput
from rankspace.evaluation.group_sizes import group_sizes
from rankspace.evaluation.metric_score import LONGEST_FAILURE, MOST_GROUPS, MetricScore
from rankspace.evaluation.recovery_metric import MOST_DOCUMENTS, RecoveryMetric
from rankspace.observation import (
    MOST_NATS,
    MOST_TEXTS,
    DataCounts,
    TextLosses,
    is_loss,
    is_margin,
)
from rankspace.wire import encode

SLACK_SECONDS, SLACK_SHARE = 10.0, 0.01
"""What the worker's clock may gain on the database's, at least and of the whole time."""

PHASES, VERSIONS = 20, 50
"""How many a measurement may name; workers name four and six."""

LONGEST = 200
"""Characters of such a name, or of a version."""

MOST_COUNTED = 2**31
"""Rows or tokens of a training file: workers read no larger one."""


class ImplausibleMeasurement(InvalidInput):
    """What was reported cannot have been measured in this trial."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a measurement may say.

    Attributes:
        parameters: What the trial's vector costs, by the model's description.
        steps: Those assigned; 0 for whole epochs, whose steps only the worker can count, and for
            further scores of a survey, which train nothing.
        seconds: Since the claim, by the database's clock.
        scores: How many vectors a survey was to score; 0 for any other trial.
        metrics: What a recovered model was to be evaluated on.
    """

    parameters: int
    steps: int
    seconds: float
    scores: int = 0
    metrics: tuple[RecoveryMetric, ...] = ()

    def check(self, measured: Measurement) -> None:
        """Refuse what cannot be.

        Raises:
            ImplausibleMeasurement: Names the field.
        """
        self._check_parameters(measured)
        self._check_steps(measured)
        _check_losses(measured)
        self._check_scores(measured)
        _check_counts(measured)
        _check_few("seconds", measured.seconds, PHASES)
        _check_few("versions", measured.versions, VERSIONS)
        _check_short("versions", measured.versions.values())
        if measured.data is not None:
            _check_data(measured.data)
        if measured.texts is not None:
            _check_texts(measured.texts, measured.loss)
        self._check_metrics(measured)
        self._check_seconds(measured)

    def _check_parameters(self, measured: Measurement) -> None:
        if measured.parameters != self.parameters:
            problem = f"the rank vector costs {self.parameters:,}"
            fix = "train what was assigned; or the model is described wrongly: register it anew"
            raise ImplausibleMeasurement(
                "measurement.parameters", measured.parameters, problem, fix=fix
            )

    def _check_steps(self, measured: Measurement) -> None:
        is_told = bool(self.steps or self.scores)
        if measured.steps < 0 or (is_told and measured.steps > self.steps):
            problem = f"must be 0 to {self.steps if is_told else 'the steps of the epochs'}"
            fix = "take the steps that were assigned"
            raise ImplausibleMeasurement("measurement.steps", measured.steps, problem, fix=fix)

    def _check_scores(self, measured: Measurement) -> None:
        if len(measured.scores) != self.scores:
            problem, fix = f"must be {self.scores}", "send one for each vector that was ordered"
            count = len(measured.scores)
            raise ImplausibleMeasurement("measurement.scores", count, problem, fix=fix)
        for index, score in enumerate(measured.scores):
            if not is_loss(-score):
                problem = f"is not minus a mean cross-entropy of 0 to {MOST_NATS:,.0f} nats"
                field, fix = f"{SCORE}{index}]", "report the trial as failed"
                raise ImplausibleMeasurement(field, score, problem, fix=fix)

    def _check_metrics(self, measured: Measurement) -> None:
        count = len(measured.metrics)
        if count != len(self.metrics):
            problem, fix = f"must be {len(self.metrics)}", "send one for each that was asked for"
            raise ImplausibleMeasurement("measurement.metrics", count, problem, fix=fix)
        for at, (asked, told) in enumerate(zip(self.metrics, measured.metrics, strict=True)):
            MetricBounds(f"measurement.metrics[{at}]", asked).check(told)

    def _check_seconds(self, measured: Measurement) -> None:
        slack = SLACK_SECONDS + SLACK_SHARE * self.seconds
        for phase, spent in measured.seconds.items():
            if not 0.0 <= spent <= self.seconds + slack:
                problem = f"the trial was claimed {self.seconds:.1f} s ago"
                raise ImplausibleMeasurement(
                    f"{SECONDS}{phase}", spent, problem, fix="mend the clock"
                )


@dataclass(frozen=True, slots=True)
class MetricBounds:
    """What may be told of one metric that a recovered model was evaluated on.

    Attributes:
        field: That tells it.
        asked: The metric.
    """

    field: str
    asked: RecoveryMetric

    def check(self, told: MetricScore) -> None:
        """Refuse what cannot be.

        Raises:
            ImplausibleMeasurement: Names the field.
        """
        is_text = told.name == "perplexity"
        self._require(is_text == (self.asked.task is None), "name", told.name)
        self._require(bool(_SHA256.fullmatch(told.file)), "file", told.file)
        self._require(self.asked.sha256 in (None, told.file), "file", told.file)
        self._require(len(told.failure) <= LONGEST_FAILURE, "failure", len(told.failure))
        for name in ("total", "dropped", "cut", "control"):
            value = getattr(told, name)
            self._require(0 <= value <= MOST_COUNTED, name, value)
        self._check_groups(told)
        for at, (total, count) in enumerate(zip(told.sums, told.counts, strict=True)):
            is_right = is_loss(total / count) if is_text else total in range(count + 1)
            self._require(is_right, f"sums[{at}]", total)
        for at, total in enumerate(told.margins):
            self._require(is_margin(total / told.counts[at]), f"margins[{at}]", total)

    def _check_groups(self, told: MetricScore) -> None:
        """As every worker groups so many documents; no group where it could not be measured."""
        groups, margins = len(told.counts), len(told.counts) if self.asked.task else 0
        self._require(
            groups <= MOST_GROUPS and (groups == 0) == bool(told.failure), "counts", groups
        )
        self._require(len(told.sums) == groups, "sums", len(told.sums))
        self._require(len(told.margins) == margins, "margins", len(told.margins))
        if groups:
            most = min(self.asked.limit or MOST_DOCUMENTS, told.total)
            self._require(told.documents == most, "counts", told.documents)
            sizes = group_sizes(told.documents, MOST_GROUPS)
            self._require(told.counts == sizes, "counts", groups)

    def _require(self, holds: bool, name: str, value: object) -> None:
        if not holds:
            problem, fix = "cannot be of the metric that was asked for", "send what was measured"
            raise ImplausibleMeasurement(f"{self.field}.{name}", value, problem, fix=fix)


_SHA256 = re.compile(r"[0-9a-f]{64}")

SECONDS = "measurement.seconds."
"""What the fields of phases begin with."""

SCORE = "measurement.scores["
"""What the fields of single scores begin with."""

METRIC_VALUE = re.compile(r"measurement\.metrics\[\d+\]\.(sums|margins)\[")
"""Begins the fields of what a recovered model scores on a group of documents."""


def _check_losses(measured: Measurement) -> None:
    for name, value in (("loss", measured.loss), ("train_loss", measured.train_loss)):
        if not is_loss(value):
            problem = f"a mean cross-entropy is 0 to {MOST_NATS:,.0f} nats"
            fix = "report the trial as failed: it diverged"
            raise ImplausibleMeasurement(f"measurement.{name}", value, problem, fix=fix)
    if not math.isclose(measured.score, -measured.loss, rel_tol=1e-6, abs_tol=1e-6):
        problem = f"is not minus the loss, {-measured.loss:g}"
        fix = "send minus the held-out loss"
        raise ImplausibleMeasurement("measurement.score", measured.score, problem, fix=fix)


def _check_texts(texts: TextLosses, loss: float) -> None:
    """Every loss one of a model, every group some tokens, and all together the trial's loss."""
    count = len(texts.losses)
    if not 2 <= count <= MOST_TEXTS or len(texts.tokens) != count:
        problem = f"must be 2 to {MOST_TEXTS} groups, and as many as tokens"
        fix = "send one sum of losses and one count of tokens for each group"
        raise ImplausibleMeasurement("measurement.texts.losses", count, problem, fix=fix)
    for at, (total, tokens) in enumerate(zip(texts.losses, texts.tokens, strict=True)):
        if not 1 <= tokens <= MOST_COUNTED:
            problem, fix = f"must be 1 to {MOST_COUNTED:,}", "count the predicted tokens"
            raise ImplausibleMeasurement(
                f"measurement.texts.tokens[{at}]", tokens, problem, fix=fix
            )
        if not is_loss(total / tokens):
            problem = f"a mean cross-entropy is 0 to {MOST_NATS:,.0f} nats, of {tokens:,} tokens"
            fix = "send the sum of the group's token losses"
            raise ImplausibleMeasurement(f"measurement.texts.losses[{at}]", total, problem, fix=fix)
    if not math.isclose(texts.mean, loss, rel_tol=1e-4, abs_tol=1e-4):
        problem = f"the mean of the texts is {texts.mean:g}"
        fix = "send the losses of the texts that the loss is of"
        raise ImplausibleMeasurement("measurement.loss", loss, problem, fix=fix)


def _check_counts(measured: Measurement) -> None:
    for name, value in (("tokens", measured.tokens), ("peak_bytes", measured.peak_bytes)):
        if value < 0:
            fix = "count from 0"
            raise ImplausibleMeasurement(f"measurement.{name}", value, "is negative", fix=fix)


def _check_few(name: str, found: Collection[str], most: int) -> None:
    if len(found) > most:
        fix = f"name at most {most}"
        raise ImplausibleMeasurement(f"measurement.{name}", len(found), "are too many", fix=fix)
    _check_short(name, found)


def _check_short(name: str, texts: Collection[str]) -> None:
    for text in texts:
        if len(text) > LONGEST:
            fix = f"cut it to {LONGEST} characters"
            raise ImplausibleMeasurement(f"measurement.{name}", text, "is too long", fix=fix)


def _check_data(counts: DataCounts) -> None:
    for name, value in encode(counts).items():
        if name != "shape" and not 0 <= value <= MOST_COUNTED:
            problem, fix = f"must be 0 to {MOST_COUNTED:,}", "count what was read"
            raise ImplausibleMeasurement(f"measurement.data.{name}", value, problem, fix=fix)
    if counts.examples + counts.dropped != counts.rows:
        problem = f"{counts.examples:,} examples and {counts.dropped:,} dropped are not as many"
        fix = "count every row once"
        raise ImplausibleMeasurement("measurement.data.rows", counts.rows, problem, fix=fix)
    for name, value in (("cut", counts.cut), ("repeats", counts.repeats)):
        if value > counts.examples:
            problem = f"there are {counts.examples:,} examples"
            raise ImplausibleMeasurement(
                f"measurement.data.{name}", value, problem, fix="count each example once"
            )
    if counts.empty > counts.rows:
        problem, fix = f"there are {counts.rows:,} rows", "count each row once"
        raise ImplausibleMeasurement("measurement.data.empty", counts.empty, problem, fix=fix)
