"""The next-token loss of a causal language model, computed where it is needed and only there."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tuning.batches import Batch

MOST_LOGITS = 2**27
"""Logits held at once when no gradient needs them: half a GiB in float32."""


def summed_loss(model: Any, batch: Batch) -> Tensor:
    """Return the sum of ``batch``'s token losses in nats, a float32 scalar.

    The vocabulary projection runs at predicted positions only: most of an instruction's tokens
    are prompt, and the logits are the largest tensor of a small model.
    """
    hidden = _hidden(model, batch)
    return _cross_entropy(model, hidden, batch.targets)


@torch.no_grad()
def measured_loss(model: Any, batch: Batch) -> Tensor:
    """Return what ``summed_loss`` does, added up in float64 from slices of at most MOST_LOGITS."""
    hidden = _hidden(model, batch)
    rows = max(1, MOST_LOGITS // model.config.vocab_size)
    slices = zip(torch.split(hidden, rows), torch.split(batch.targets, rows), strict=True)
    return torch.stack([_cross_entropy(model, h, t).double() for h, t in slices]).sum()


@torch.no_grad()
def token_losses(model: Any, batch: Batch) -> Tensor:
    """Return the loss of every predicted token in nats, float64 ``(n,)``, in slices likewise."""
    hidden = _hidden(model, batch)
    rows = max(1, MOST_LOGITS // model.config.vocab_size)
    slices = zip(torch.split(hidden, rows), torch.split(batch.targets, rows), strict=True)
    return torch.cat([_cross_entropy(model, h, t, "none").double() for h, t in slices])


def _hidden(model: Any, batch: Batch) -> Tensor:
    decoder = model.get_decoder()
    states: Tensor = decoder(input_ids=batch.inputs, use_cache=False).last_hidden_state
    flat = states.flatten(0, 1)
    return flat if batch.positions is None else flat.index_select(0, batch.positions)


def _cross_entropy(model: Any, hidden: Tensor, targets: Tensor, reduction: str = "sum") -> Tensor:
    logits = _capped(model.get_output_embeddings()(hidden), model.config)
    return functional.cross_entropy(logits.float(), targets, reduction=reduction)


def _capped(logits: Tensor, config: Any) -> Tensor:
    """Bound the logits as Gemma 2's own forward pass does after the vocabulary projection."""
    cap = getattr(config, "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.tanh(logits / cap)
