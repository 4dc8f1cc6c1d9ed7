"""How much the blocks of a model are alike in what they are fed: LoSA's relative information."""

from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from pruning.statistics.hidden_states import HiddenStates
from rankspace.errors import InvalidInput

LEAST_WINDOWS = 3
"""Of two windows every centred Gram matrix is the same but for a factor."""


def redundancies(
    model: PreTrainedModel,
    windows: torch.Tensor,
    blocks: tuple[int, ...],
    step: Callable[[], None] | None = None,
) -> dict[int, float]:
    """Return ``R_i = sum_(j != i) CKA_ij / sum_(k != l) CKA_kl`` for each of ``blocks``.

    CKA is the linear one (Kornblith et al., arXiv 1905.00414) between what two blocks are fed on
    ``windows``, ``(samples, length)``, each window flattened to one example: LoSA (arXiv
    2502.14816). ``step`` is called after each block up to the last.

    Raises:
        InvalidInput: There are too few windows to compare blocks by.
    """
    if len(windows) < LEAST_WINDOWS:
        fix = f"use {LEAST_WINDOWS} or more; 64 are usual"
        raise InvalidInput("samples", len(windows), "are too few to compare blocks by", fix=fix)
    states, grams = HiddenStates(model, windows), {}
    for index in range(blocks[-1] + 1):
        if index in blocks:
            grams[index] = _centred(states.gram())
        if index < blocks[-1]:
            states.move(states.through(index))
        if step:
            step()
    sums = {
        index: sum(_alignment(gram, other) for j, other in grams.items() if j != index)
        for index, gram in grams.items()
    }
    total = sum(sums.values())
    return {index: value / total if total else 0.0 for index, value in sums.items()}


def _centred(gram: torch.Tensor) -> torch.Tensor:
    rows = gram - gram.mean(dim=0, keepdim=True)
    return rows - rows.mean(dim=1, keepdim=True)


def _alignment(first: torch.Tensor, second: torch.Tensor) -> float:
    """``<K, L> / (||K|| ||L||)`` of centred Gram matrices."""
    scale = float(first.norm() * second.norm())
    return float((first * second).sum()) / scale if scale else 0.0
