"""Text sampling: how far a gain hangs on the held-out texts that happened to be held out.

All seeds score the same texts, so the spread over seeds says nothing of it. With the losses by text
the gain is a mean over two crossed samples, seeds and texts, and the variance of both counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rankspace.observation import TextLosses


@dataclass(frozen=True, slots=True)
class TextSampling:
    """What texts add to the variance of a mean gain.

    Attributes:
        variance: Of the mean over the seeds, in squared score units, by sampling texts alone.
        count: Groups of texts.
    """

    variance: float
    count: int

    @property
    def freedom(self) -> int:
        return self.count - 1


def text_sampling(
    losses: Sequence[TextLosses | None], rivals: Sequence[TextLosses | None]
) -> TextSampling | None:
    """Compare two vectors text by text, on the same seeds.

    Args:
        losses: Of the vector, one per seed, at least two.
        rivals: Of its rival, likewise.

    Returns:
        None where somebody did not tell them, or told of other texts.

    Source: two-way random effects by their mean squares (Searle, Casella & McCulloch 1992, 4.3),
    for a ratio of sums, linearised (Cochran 1977, section 6.3): the variance of the texts' means
    over the seeds, less what seeds and texts do together, which the spread over seeds has in it.
    """
    told = [one for one in (*losses, *rivals) if one is not None]
    tokens = {one.tokens for one in told}
    if len(told) < len(losses) + len(rivals) or len(tokens) != 1:
        return None
    weights = np.array(tokens.pop(), dtype=np.float64)
    weights /= weights.sum()
    pairs = zip(losses, rivals, strict=True)
    gains = np.array([_gains(a, b) for a, b in pairs if a is not None and b is not None])
    apart = gains - weights * gains.sum(axis=1, keepdims=True)
    mean = apart.mean(axis=0)
    seeds, texts = apart.shape
    scale = texts / (texts - 1)
    between = scale * float(mean @ mean)
    together = scale * float(((apart - mean) ** 2).sum()) / (seeds * (seeds - 1))
    return TextSampling(max(between - together, 0.0), texts)


def _gains(one: TextLosses, rival: TextLosses) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What each group adds to the gain, ``(texts,)``."""
    difference = np.array(rival.losses) - np.array(one.losses)
    return np.asarray(difference / float(sum(one.tokens)))
