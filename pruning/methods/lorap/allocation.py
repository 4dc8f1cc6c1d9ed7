"""How much of each matrix of a block is kept; needs no torch.

Source: Li et al., LoRAP (ICML 2024, arXiv 2404.09695), of square matrices and as many key/value
heads as query heads. Here shares are of weights, which for such matrices comes to the same: at 20 %
of LLaMA-7B values and outputs stay whole and queries and keys have rank 1228, at 50 % 1536 and 512.
"""

import math
from collections.abc import Mapping

from pruning.container.structure import ATTENTION, BlockStructure

RATIO = 3.0
"""Weights of values and outputs to those of queries and keys, as published."""

_ROUNDING = 1e-9
"""A product that should be whole may come out a little less."""


def kept_shares(block: BlockStructure, rate: float) -> Mapping[str, float]:
    """Return the share of its weights that each attention matrix keeps, in (0, 1].

    The two of a pair keep the same share whatever their shapes. Where that of values and outputs
    comes to all, factors would cost as much as the matrices: these stay whole, and the rest is for
    queries and keys.

    Args:
        block: With attention.
        rate: Share of its weights to lose, in [0, 1).
    """
    # All four are as wide as the residual stream on one side, which cancels.
    sizes = {kind: math.prod(block.shape(kind, 1)) for kind in ATTENTION}
    first, second = sizes["q_proj"] + sizes["k_proj"], sizes["v_proj"] + sizes["o_proj"]
    budget = (1.0 - rate) * (first + second)
    of_second = min(second, budget * RATIO / (1.0 + RATIO))
    shares = (budget - of_second) / first, of_second / second
    return {kind: shares[kind in ("v_proj", "o_proj")] for kind in ATTENTION}


def ranks_of(block: BlockStructure, hidden: int, rate: float) -> Mapping[str, int]:
    """Return the ranks of the attention matrices of ``block`` that become factors, 1 at least."""
    ranks = {}
    for kind, share in kept_shares(block, rate).items():
        d_out, d_in = block.shape(kind, hidden)
        rank = math.floor(share * d_out * d_in / (d_out + d_in) + _ROUNDING)
        if share < 1.0:
            ranks[kind] = max(1, rank)
    return ranks


def channels_left(block: BlockStructure, hidden: int, rate: float) -> int:
    """Return how many feed-forward channels stay.

    A channel is three rows of ``hidden`` weights. What rounding ranks down has taken too much from
    attention, a few channels make up for: the block keeps its share to half a channel.
    """
    ranks, attention = ranks_of(block, hidden, rate), 0
    whole = sum(math.prod(block.shape(kind, hidden)) for kind in block.modules)
    for kind in ATTENTION:
        d_out, d_in = block.shape(kind, hidden)
        attention += ranks[kind] * (d_out + d_in) if kind in ranks else d_out * d_in
    left = round(((1.0 - rate) * whole - attention) / (3 * hidden))
    return min(block.ffn, max(1, left))
