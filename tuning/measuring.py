"""Held-out loss: the one number candidates are compared by, and where it comes from by text."""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any, TypeVar

import torch

from rankspace.errors import TrialFailed
from rankspace.evaluation.group_sizes import group_sizes
from rankspace.observation import MOST_TEXTS, TextLosses
from tuning import memory
from tuning.batches import batched, collate
from tuning.examples import Example
from tuning.losses import measured_loss, token_losses
from tuning.training import autocast

T = TypeVar("T")

BATCH_TOKENS = 8192
"""Tokens per forward pass, padding included; fixed, so that all candidates are treated alike."""


@torch.no_grad()
def mean_loss(model: Any, examples: Sequence[Example], device: torch.device) -> float:
    """Return the mean loss per predicted token over ``examples``, at least one, in nats.

    Raises:
        TrialFailed: The loss is not finite, or the device has too little memory.
    """

    def total(parts: Sequence[Sequence[Example]]) -> float:
        batches = [collate(part, device) for part in parts]
        return torch.stack([measured_loss(model, batch) for batch in batches]).sum().item()

    found = _measured(model, examples, device, total)
    return _finite(found / sum(example.targets for example in examples), examples)


@torch.no_grad()
def text_losses(model: Any, examples: Sequence[Example], device: torch.device) -> TextLosses:
    """Return the losses of ``examples``, at most ``MOST_TEXTS`` groups.

    Their mean is that of ``mean_loss`` but for rounding.

    Raises:
        TrialFailed: As ``mean_loss`` does.
    """

    def by_example(parts: Sequence[Sequence[Example]]) -> dict[int, float]:
        found: dict[int, float] = {}
        for part in parts:
            tokens = token_losses(model, collate(part, device))
            sums = [one.sum() for one in torch.split(tokens, [example.targets for example in part])]
            found |= zip(map(id, part), torch.stack(sums).tolist(), strict=True)
        return found

    found = _measured(model, examples, device, by_example)
    grouped = groups(examples, MOST_TEXTS)
    losses = tuple(math.fsum(found[id(example)] for example in group) for group in grouped)
    texts = TextLosses(losses, tuple(sum(e.targets for e in group) for group in grouped))
    _finite(texts.mean, examples)
    return texts


def groups(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """Return ``most`` groups of as many items each, in the order given, the same for all trials.

    Of fewer items, at least one, each is a group.
    """
    ends = [0, *accumulate(group_sizes(len(items), most))]
    return [items[begin:end] for begin, end in pairwise(ends)]


def _finite(loss: float, examples: Sequence[Example]) -> float:
    if not math.isfinite(loss):
        raise TrialFailed(
            f"the held-out loss is {loss} over {len(examples)} examples",
            hint="lower recipe.optimizer.learning_rate",
        )
    return loss


def _measured(
    model: Any,
    examples: Sequence[Example],
    device: torch.device,
    measure: Callable[[Sequence[Sequence[Example]]], T],
) -> T:
    """Measure in batches as large as there is memory for."""
    most = BATCH_TOKENS
    longest = max(len(example.tokens) for example in examples)
    while True:
        try:
            with autocast(device, model.dtype):
                return measure(batched(examples, most))
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
