"""Log-likelihoods of what follows each prompt: the one thing that both metrics are made of."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from rankspace.errors import InvalidInput
from tuning import memory
from tuning.batches import collate
from tuning.examples import Example
from tuning.losses import token_losses

BATCH_TOKENS = 8192
"""Tokens per forward pass, padding included; halved for good when memory runs out."""

OnProgress = Callable[[int, int], None]
"""Called with how many examples are done, and of how many."""


def silent(done: int, total: int) -> None:
    """Tell nobody."""


@torch.no_grad()
def log_likelihoods(
    model: Any,
    examples: Sequence[Example],
    device: torch.device,
    *,
    batch_tokens: int = BATCH_TOKENS,
    on_progress: OnProgress = silent,
    named: Callable[[int], str] = "sequence {}".format,
) -> tuple[float, ...]:
    """Return the log-likelihood of each example's predicted tokens, in nats, in their order.

    The model computes in its own type; the softmax is float32, the sum float64. Examples of like
    length share a batch, padded on the right, which a causal model does not see.

    Args:
        model: In eval mode, on ``device``.
        examples: With at least one predicted token each.
        device: Of the model.
        batch_tokens: Tokens per forward pass, at least one example.
        on_progress: See ``OnProgress``.
        named: What an example is of, by its index, for an error.

    Raises:
        InvalidInput: One is not finite, or the device has too little memory for one example.
    """
    # Longest first: memory runs out at once or not at all.
    waiting = sorted(range(len(examples)), key=lambda i: len(examples[i].tokens), reverse=True)
    found = [0.0] * len(examples)
    while waiting:
        longest = len(examples[waiting[0]].tokens)
        part = waiting[: max(1, batch_tokens // longest)]
        sums = _sums(model, [examples[i] for i in part], device)
        if sums is None:
            memory.release(device)
            batch_tokens = _fewer(len(part), longest, device)
            continue
        for index, value in zip(part, sums, strict=True):
            found[index] = _finite(value, index, named)
        waiting = waiting[len(part) :]
        on_progress(len(examples) - len(waiting), len(examples))
    return tuple(found)


def _sums(model: Any, part: Sequence[Example], device: torch.device) -> list[float] | None:
    """Sum what each example's tokens score; None where memory ran out."""
    try:
        losses = token_losses(model, collate(part, device))
        each = torch.split(losses, [example.targets for example in part])
        sums: list[float] = torch.stack([one.sum() for one in each]).neg().tolist()
    except (RuntimeError, MemoryError) as error:
        if not memory.is_exhausted(error):
            raise
        return None
    return sums


def _fewer(count: int, longest: int, device: torch.device) -> int:
    if count == 1:
        problem = f"has too little memory for one sequence of {longest:,} tokens"
        fix = "take a larger one; of perplexity, a smaller --window does, too"
        raise InvalidInput("device", str(device), problem, fix=fix)
    return count // 2 * longest


def _finite(value: float, index: int, named: Callable[[int], str]) -> float:
    if not math.isfinite(value):
        problem = f"the model gives {named(index)} no finite likelihood"
        fix = "check its weights; some models overflow in float16 and not in bfloat16"
        raise InvalidInput("log-likelihood", value, problem, fix=fix)
    return value
