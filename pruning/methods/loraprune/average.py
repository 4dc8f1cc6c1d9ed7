"""The moving average of what the structures of each block are worth."""

from collections.abc import Mapping

from torch import Tensor

from pruning.methods.importance import Importance


class MovingAverage:
    """``S <- 0.9 S + 0.1 S_new`` over the steps, from 0; a step with a NaN anywhere is left out.

    Attributes:
        scores: By block; empty before the first step that counts.
        skipped: Steps left out.
    """

    def __init__(self, decay: float) -> None:
        self._decay = decay
        self.scores: dict[int, Importance] = {}
        self.skipped = 0

    def take(self, found: Mapping[int, Importance]) -> None:
        """Let the scores of a step count."""
        if not all(_is_finite(one) for one in found.values()):
            self.skipped += 1
            return
        self.scores = {index: self._joined(index, one) for index, one in found.items()}

    def _joined(self, index: int, new: Importance) -> Importance:
        old = self.scores.get(index)
        if old is None:
            return Importance((1 - self._decay) * new.kv_heads, (1 - self._decay) * new.channels)
        return Importance(
            self._mean(old.kv_heads, new.kv_heads), self._mean(old.channels, new.channels)
        )

    def _mean(self, old: Tensor, new: Tensor) -> Tensor:
        return self._decay * old + (1 - self._decay) * new


def _is_finite(one: Importance) -> bool:
    return bool(one.kv_heads.isfinite().all()) and bool(one.channels.isfinite().all())
