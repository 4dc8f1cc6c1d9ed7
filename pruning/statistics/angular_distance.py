"""How far a block turns what it is fed: CFSP's importance of blocks."""

import math
from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from pruning.statistics.hidden_states import HiddenStates


def angular_distances(
    model: PreTrainedModel,
    windows: torch.Tensor,
    blocks: tuple[int, ...],
    step: Callable[[], None] | None = None,
) -> dict[int, float]:
    """Return the mean over tokens of ``arccos(cos(x, f(x))) / pi`` for each of ``blocks``.

    ``x`` is what block ``f`` is fed of ``windows``, ``(samples, length)``, and ``f(x)`` what it
    writes, the residual stream with it. CFSP (arXiv 2409.13199) sums where this takes the mean.
    ``step`` is called after each block up to the last.
    """
    states, found = HiddenStates(model, windows), {}
    for index in range(blocks[-1] + 1):
        outputs = states.through(index)
        if index in blocks:
            pairs = zip(states.parts, outputs, strict=True)
            total = sum(float(_turned(fed, written).sum()) for fed, written in pairs)
            found[index] = total / windows.numel()
        states.move(outputs)
        if step:
            step()
    return found


def _turned(fed: torch.Tensor, written: torch.Tensor) -> torch.Tensor:
    """Angle between each token's vectors, in half turns; of a vector of length 0 that of 1/2."""
    one, other = fed.double(), written.double()
    cosine = (one * other).sum(-1) / (one.norm(dim=-1) * other.norm(dim=-1))
    return torch.arccos(cosine.nan_to_num(nan=0.5).clamp(-1.0, 1.0)) / math.pi
