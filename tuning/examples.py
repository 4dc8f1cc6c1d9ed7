"""Example: one tokenised piece of training text. Reading: all of those of a file."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankspace.data_shape import ShapeName

FIELD = "recipe.data.train"

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """Tokens to read and, from ``prompt`` on, to predict.

    Attributes:
        tokens: Token ids, int32 or int64 ``(t,)`` with ``t >= 2``.
        prompt: How many leading tokens are only read; at least 1, less than ``t``.
        said: Digest of the whole text, runs of white space taken as one; empty for a window.
        passed: Spans after ``prompt`` that are only read, too, as pairs of first and end: what
            others say between two answers. None reaches the last token.
    """

    tokens: Tensor
    prompt: int
    said: bytes = b""
    passed: tuple[tuple[int, int], ...] = ()

    @property
    def targets(self) -> int:
        """Tokens that are predicted."""
        return len(self.tokens) - self.prompt - sum(end - first for first, end in self.passed)

    @property
    def predicted(self) -> Tensor:
        """Where the tokens stand that are predicted, int64 ``(targets,)``."""
        ends = (self.prompt, *(place for span in self.passed for place in span), len(self.tokens))
        return torch.cat([torch.arange(*span) for span in list(pairwise(ends))[::2]])


@dataclass(frozen=True, slots=True)
class Reading:
    """The examples of a file, in its order, and what became of its rows.

    Attributes:
        examples: Those with something to predict.
        rows: Of the file; of plain text, windows.
        cut: Examples that lack the end of their row.
        row_tokens: Of the longest row, uncut.
        shape: What the rows are; None without any.
        empty: Rows with an answer that says nothing.
        control: How often texts spell a control token, which is taken for text.
    """

    examples: tuple[Example, ...]
    rows: int
    cut: int = 0
    row_tokens: int = 0
    shape: ShapeName | None = None
    empty: int = 0
    control: int = 0

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Example:
        return self.examples[index]

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)

    @property
    def dropped(self) -> int:
        """Rows that leave no answer token within the length."""
        return self.rows - len(self.examples)


def windows(tokens: Sequence[int] | NDArray[np.int32], length: int) -> tuple[Example, ...]:
    """Cut a token stream into examples of ``length`` tokens that predict all but their first."""
    whole = len(tokens) // length * length
    rows = torch.from_numpy(np.array(tokens[:whole], dtype=np.int32)).view(-1, length)
    return tuple(Example(row, 1) for row in rows)


def digest(text: str) -> bytes:
    """Tell texts apart that say something else: runs of white space are taken as one space."""
    return hashlib.blake2b(" ".join(text.split()).encode(), digest_size=DIGEST_BYTES).digest()
