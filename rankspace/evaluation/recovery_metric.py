"""RecoveryMetric: one published metric that recovered models are to be evaluated on."""

import re
from dataclasses import dataclass, replace
from typing import Literal

from rankspace.errors import InvalidInput

MOST_METRICS = 8
"""Of a study: each is measured after every full recovery, and told in groups of documents."""

MOST_DOCUMENTS = 20_000
"""Windows or documents of one metric; HellaSwag has 10,042."""

MOST_BYTES = 64 * 2**20
"""Of a task's file, unpacked."""

MOST_TEXT_BYTES = 4 * 2**20
"""Of a text, unpacked: tokenised in one go, 8 MiB of it take 1.3 GiB. WikiText-2's test set has 1.3
million bytes."""

PUBLISHED_WINDOW = 128
"""Tokens of a window in the numbers of LLM-Pruner and of those who compare with it."""

MOST_WINDOW = 2**20
LONGEST_PATH = 4096
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class RecoveryMetric:
    """A published metric of recovered models: the perplexity of a text, or a task of choices.

    Attributes:
        perplexity: Path of a text, or of rows of texts; this or ``task``.
        task: Path of the rows of a data set that is known, as ``rankadaptor evaluate`` reads them.
        form: How the lines of a text are joined: ``wikitext2`` and ``ptb`` as published numbers
            have it, ``plain`` as the file stands.
        window: Tokens of a window of a text; 128 where nobody says.
        limit: At most so many windows or documents, the first ones; all of them where nobody says.
        sha256: Of the file, in hexadecimal; ``rankadaptor submit`` fills it in. A worker that has
            another file measures none of the study's recoveries.

    Raises:
        InvalidInput: Not one of the two, or a field that does not go with it, or is out of bounds.
    """

    perplexity: str | None = None
    task: str | None = None
    form: Literal["plain", "wikitext2", "ptb"] = "plain"
    window: int | None = None
    limit: int | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if (self.perplexity is None) == (self.task is None):
            problem = "is what a metric names, or else a task, and not both"
            raise InvalidInput("perplexity", self.perplexity, problem, fix="name one file")
        if not self.path.strip() or len(self.path) > LONGEST_PATH:
            problem = f"must have 1 to {LONGEST_PATH:,} characters"
            raise InvalidInput(self.kind, self.path, problem, fix="give the path of a file")
        if self.task is not None:
            self._check_task()
        _within("window", self.window, 2, MOST_WINDOW)
        _within("limit", self.limit, 1, MOST_DOCUMENTS)
        if self.sha256 is not None and not _HASH.fullmatch(self.sha256):
            fix = "leave it out: rankadaptor submit finds it"
            raise InvalidInput("sha256", self.sha256, "is no SHA-256", fix=fix)

    def _check_task(self) -> None:
        if self.form != "plain":
            problem = "joins the lines of a text, and a task has none"
            raise InvalidInput("form", self.form, problem, fix="leave it out")
        if self.window is not None:
            problem = "divides a text, and a task has none"
            raise InvalidInput("window", self.window, problem, fix="leave it out")

    @property
    def kind(self) -> Literal["perplexity", "task"]:
        """The field that names the file."""
        return "task" if self.perplexity is None else "perplexity"

    @property
    def path(self) -> str:
        """Of the file."""
        return self.perplexity or self.task or ""

    @property
    def most_bytes(self) -> int:
        """Of the file, unpacked."""
        return MOST_BYTES if self.perplexity is None else MOST_TEXT_BYTES

    @property
    def window_tokens(self) -> int:
        """Tokens of a window of a text."""
        return self.window or PUBLISHED_WINDOW

    @property
    def title(self) -> str:
        """What a person calls it: the file's name, and of a text its form and window."""
        name = self.path.rstrip("/").rpartition("/")[2]
        if self.task is not None:
            return name
        form = "" if self.form == "plain" else f"{self.form}="
        return f"{form}{name}, windows of {self.window_tokens:,}"

    def at(self, path: str) -> "RecoveryMetric":
        """The same of the file at ``path``."""
        if self.task is None:
            return replace(self, perplexity=path)
        return replace(self, task=path)

    def confirmed(self, field: str, found: str) -> "RecoveryMetric":
        """The same with the hash of its file, which is ``found``.

        Raises:
            InvalidInput: It says another one; ``field`` names the file.
        """
        if self.sha256 not in (None, found):
            problem = f"has SHA-256 {found}, and sha256 says {self.sha256}"
            fix = "put back what was submitted, or take the line out"
            raise InvalidInput(field, self.path, problem, fix=fix)
        return replace(self, sha256=found)


def field_of(index: int, metric: RecoveryMetric) -> str:
    """How the study file calls the file of a metric."""
    return f"recover.metrics[{index}].{metric.kind}"


def check_metrics(metrics: tuple[RecoveryMetric, ...]) -> None:
    """Check the list as a whole.

    Raises:
        InvalidInput: It is too long, or has one twice.
    """
    if len(metrics) > MOST_METRICS:
        fix = f"give {MOST_METRICS} or fewer; rankadaptor evaluate measures the others afterwards"
        raise InvalidInput("metrics", len(metrics), "are too many", fix=fix)
    if len(set(metrics)) < len(metrics):
        raise InvalidInput("metrics", len(metrics), "have one twice", fix="name each of them once")


def _within(name: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        problem = f"must be {least:,} to {most:,}"
        raise InvalidInput(name, value, problem, fix="leave it out, or give one of these")
