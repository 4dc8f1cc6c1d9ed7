"""MetricScore: what one recovered model scored on one metric, as a worker reports it."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

MetricName: TypeAlias = Literal["perplexity", "acc", "acc_norm"]

MOST_GROUPS = 256
"""In which the documents of a metric are told: a report and what is kept of it stay small."""

LONGEST_FAILURE = 500
"""Characters of why a metric could not be measured."""


@dataclass(frozen=True, slots=True)
class MetricScore:
    """What a model scored, document by document, or in groups of documents that follow each other.

    The groups are the same for every model on the same file, so that two can be compared in pairs.

    Attributes:
        name: What was measured: of a task the metric that published tables have.
        file: SHA-256 of the file, in hexadecimal.
        counts: Windows or documents of each group, at least 1; at most ``MOST_GROUPS`` groups.
        sums: Of each group: the mean losses of its windows per predicted token, in nats; or how
            many of its documents are answered right.
        margins: Of a task, what the right choices lead the best wrong ones by, summed by group;
            empty of a text.
        total: Windows or documents that the file has, at least those that are measured.
        dropped: Tokens of a text after its last whole window.
        cut: Contexts of a task that lost their beginning, because the model is made for less.
        control: How often the texts spell a control token, which is taken for one.
        failure: Why it could not be measured of this model; there are no groups then.
    """

    name: MetricName
    file: str
    counts: tuple[int, ...] = ()
    sums: tuple[float, ...] = ()
    margins: tuple[float, ...] = ()
    total: int = 0
    dropped: int = 0
    cut: int = 0
    control: int = 0
    failure: str = ""

    @property
    def documents(self) -> int:
        """Windows or documents that were measured."""
        return sum(self.counts)

    @property
    def emptied(self) -> "MetricScore":
        """The same without what the model scored: what it was measured on, and how that was read.

        Models can be compared where it is equal, and has ``counts``.
        """
        return replace(self, sums=(), margins=())
