"""Lengths: how long the examples of a file are, and what a sequence length makes of them."""

import math
from dataclasses import dataclass

COVERED = 0.98
"""Share of the examples that are not to be cut. The last ones are much longer than the rest, and
memory and time are planned for the longest."""

MULTIPLE = 8
"""Tokens that a length is rounded up to: matrix products on a GPU are made for such sizes."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Of the examples of a file, uncut.

    Attributes:
        tokens: Of each example, also where that is more than the model is made for.
        prompts: How many of them are only read.
        is_stream: Whether the file is one text, of which a window may have any length.
    """

    tokens: tuple[int, ...]
    prompts: tuple[int, ...]
    is_stream: bool

    def quantile(self, share: float) -> int:
        """Return the least length that ``share`` of the examples do not exceed."""
        return sorted(self.tokens)[max(0, math.ceil(share * len(self.tokens)) - 1)]

    def covering(self, most: int) -> int:
        """Return the length that leaves ``COVERED`` of the examples whole, but ``most`` at most."""
        rounded = math.ceil(self.quantile(COVERED) / MULTIPLE) * MULTIPLE
        return min(rounded, most)

    def examples(self, length: int) -> int:
        """Return how many there are at ``length``: others have no answer left, or no whole window.

        Of a stream a rest of windows that were shorter is not known, so one less or so.
        """
        if self.is_stream:
            return sum(self.tokens) // length
        return sum(prompt < length for prompt in self.prompts)

    def cut(self, length: int) -> int:
        """Return how many of these lose their end."""
        if self.is_stream:
            return 0
        pairs = zip(self.prompts, self.tokens, strict=True)
        return sum(prompt < length < tokens for prompt, tokens in pairs)

    def mean(self, length: int) -> float:
        """Return the mean tokens of an example that is cut at ``length``."""
        if self.is_stream:
            return length
        return sum(min(count, length) for count in self.tokens) / len(self.tokens)
