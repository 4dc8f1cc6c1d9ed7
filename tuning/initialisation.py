"""Starting values of the adapters: seeded per module, nested in the rank."""

import math

import torch
from torch import Tensor

from tuning.seeds import stream_seed

_ROWS = 16
"""Rows drawn at a time. Fixed, so that the first rows do not depend on how many are asked for."""


def first_matrix(seed: int, module: str, rank: int, width: int) -> Tensor:
    """Return the starting A, float32 ``(rank, width)`` on the CPU.

    Kaiming-uniform with a = sqrt(5), as peft draws it: uniform in ``±1 / sqrt(width)``, whatever
    the rank. Rows come from a stream of (seed, module) alone, so a module's larger A begins with
    its smaller one, and no module's values depend on another module's rank: trials with one seed
    differ by their ranks and by nothing else.
    """
    generator = torch.Generator().manual_seed(stream_seed("adapter", seed, module))
    bound = 1 / math.sqrt(width)
    blocks = [
        torch.empty(_ROWS, width).uniform_(-bound, bound, generator=generator)
        for _ in range(math.ceil(rank / _ROWS))
    ]
    return torch.cat(blocks)[:rank]
