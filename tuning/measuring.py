"""Held-out loss: the one number candidates are compared by."""

import math
from collections.abc import Sequence
from typing import Any

import torch

from rankspace.errors import TrialFailed
from tuning import memory
from tuning.batches import collate
from tuning.examples import Example
from tuning.losses import measured_loss
from tuning.training import autocast

BATCH_TOKENS = 8192
"""Tokens per forward pass, padding included; fixed, so that all candidates are treated alike."""


@torch.no_grad()
def mean_loss(model: Any, examples: Sequence[Example], device: torch.device) -> float:
    """Return the mean loss per predicted token over ``examples``, at least one, in nats.

    Raises:
        TrialFailed: The loss is not finite, or the device has too little memory.
    """
    with autocast(device, model.dtype):
        total = _total(model, examples, device)
    loss = total / sum(example.targets for example in examples)
    if not math.isfinite(loss):
        raise TrialFailed(
            f"the held-out loss is {loss} over {len(examples)} examples",
            hint="lower recipe.optimizer.learning_rate",
        )
    return loss


def _total(model: Any, examples: Sequence[Example], device: torch.device) -> float:
    most = BATCH_TOKENS
    longest = max(len(example.tokens) for example in examples)
    while True:
        try:
            batches = [collate(part, device) for part in batched(examples, most)]
            return torch.stack([measured_loss(model, batch) for batch in batches]).sum().item()
        except (RuntimeError, MemoryError) as error:
            if not memory.is_exhausted(error):
                raise
            problem = str(error).partition("\n")[0]
        memory.release(device)
        if most <= longest:
            raise TrialFailed(
                f"out of memory measuring one example of {longest} tokens: {problem}",
                hint="lower recipe.sequence_length, or use a larger device",
            )
        most //= 2


def batched(examples: Sequence[Example], most: int) -> list[list[Example]]:
    """Group by length into batches of at most ``most`` padded tokens, at least one example."""
    batches: list[list[Example]] = []
    # Longest first: memory runs out at once or not at all.
    for example in sorted(examples, key=lambda one: len(one.tokens), reverse=True):
        if not batches or (len(batches[-1]) + 1) * len(batches[-1][0].tokens) > most:
            batches.append([])
        batches[-1].append(example)
    return batches
