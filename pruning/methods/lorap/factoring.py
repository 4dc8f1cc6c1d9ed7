"""A matrix as the product of two thin ones: the best for what it is fed, or for any input.

Source: Li et al., LoRAP (ICML 2024, arXiv 2404.09695), activation-weighted SVD.
"""

import torch

from pruning.statistics.input_statistics import InputStatistics

UNFED = 1e-4
"""Stands in for the scale of an input that is always 0, by which is divided."""


def scales(statistics: InputStatistics, samples: int) -> torch.Tensor:
    """Return the root of the mean over samples of each input's squared norm, ``(d_in,)``."""
    found = statistics.norm / samples**0.5
    return torch.where(found == 0, UNFED, found)


def factored(
    weight: torch.Tensor, rank: int, scale: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return left ``(d_out, rank)`` and right ``(rank, d_in)`` whose product is nearest ``weight``.

    With ``W D = U S V^T`` they are ``U_k sqrt(S_k)`` and ``sqrt(S_k) V_k^T D^-1``.

    Args:
        weight: ``(d_out, d_in)``; they have its type, and are computed in float64.
        rank: At most its smaller side.
        scale: Of each input, the diagonal of D, ``(d_in,)``; None weighs all alike.
    """
    wide = weight.detach().double()
    u, s, v = torch.linalg.svd(wide if scale is None else wide * scale, full_matrices=False)
    root = s[:rank].sqrt()
    left, right = u[:, :rank] * root, root[:, None] * v[:rank]
    if scale is not None:
        right = right / scale
    return left.to(weight.dtype), right.to(weight.dtype)
