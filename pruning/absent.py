"""What stands in a decoder block where a tool removed attention or the MLP whole.

Either adds nothing to the residual stream; neither has a parameter, so that no rank goes there.
"""

from typing import Any

import torch
from torch import nn


class AbsentAttention(nn.Module):
    """Attention that was removed; it keeps count of the tokens.

    Attributes:
        layer_idx: Its place in the model and in the cache.
        head_dim: Width that a head of the model has.
    """

    def __init__(self, layer_idx: int, head_dim: int) -> None:
        super().__init__()
        self.layer_idx = layer_idx
        self.head_dim = head_dim

    def forward(
        self, hidden_states: torch.Tensor, past_key_values: Any = None, **_ignored: Any
    ) -> tuple[torch.Tensor, None]:
        """Add nothing to ``hidden_states``, ``(examples, tokens, hidden)``.

        transformers asks one layer of a cache how many tokens were seen, and that may be this one:
        so it keeps one head of one number per token there, which nobody reads.
        """
        if past_key_values is not None:
            count = hidden_states.new_zeros(
                (*hidden_states.shape[:1], 1, hidden_states.shape[1], 1)
            )
            past_key_values.update(count, count, self.layer_idx)
        return hidden_states.new_zeros(()), None


class AbsentMlp(nn.Module):
    """An MLP that was removed."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Add nothing to ``hidden_states``."""
        return hidden_states.new_zeros(())
