"""The next-token loss of a causal language model, computed where it is needed and only there."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn import Linear, functional

from tuning.batches import Batch
from tuning.forward.nothing_kept import NothingKept

MOST_LOGITS = 2**27
"""Logits held at once when no gradient needs them: half a GiB in float32."""

MOST_TRAINED = 2**24
"""Logits held at once in training, in at most two copies: 128 MiB in float32. Half as many are
slower, twice as many hardly faster (``python -m bench.trials.head``)."""


def summed_loss(model: Any, batch: Batch) -> Tensor:
    """Return the sum of ``batch``'s token losses in nats, a float32 scalar."""
    return trained_losses(model, batch).sum()


def trained_losses(model: Any, batch: Batch) -> Tensor:
    """Return the loss of every predicted token in nats, float32 ``(n,)``, to train by.

    The vocabulary projection runs at predicted positions only: most of an instruction's tokens
    are prompt, and the logits are the largest tensor of a model with a large vocabulary. So of a
    frozen projection they are never there all at once, nor kept for the backward pass.
    """
    hidden = _hidden(model, batch)
    head = model.get_output_embeddings()
    if hidden.requires_grad and _is_frozen(head):
        return _frozen_head_losses(hidden, batch.targets, head, _cap(model.config))
    return _cross_entropy(model, hidden, batch.targets, "none")


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
    nothing = NothingKept()
    found = decoder(input_ids=batch.inputs, use_cache=False, past_key_values=nothing)
    states: Tensor = found.last_hidden_state
    flat = states.flatten(0, 1)
    return flat if batch.positions is None else flat.index_select(0, batch.positions)


def _cross_entropy(model: Any, hidden: Tensor, targets: Tensor, reduction: str = "sum") -> Tensor:
    logits = _capped(model.get_output_embeddings()(hidden), model.config)
    return functional.cross_entropy(logits.float(), targets, reduction=reduction)


def _capped(logits: Tensor, config: Any) -> Tensor:
    """Bound the logits as Gemma 2's own forward pass does after the vocabulary projection."""
    cap = _cap(config)
    return logits if cap is None else cap * torch.tanh(logits / cap)


def _cap(config: Any) -> float | None:
    cap: float | None = getattr(config, "final_logit_softcapping", None)
    return cap


def _is_frozen(head: Any) -> bool:
    """Whether nothing of the projection is trained: what is has a gradient of its own to get."""
    return type(head) is Linear and not any(one.requires_grad for one in head.parameters())


class _FrozenHeadLosses(Function):
    """The token losses in nats, float32 ``(n,)``, by way of a projection that is not trained.

    Only the hidden states need a gradient, and a row's is known as soon as its loss is: so the
    forward pass takes as many rows at a time as MOST_TRAINED allows, and keeps their gradient,
    ``(n, hidden)``, in place of their logits.

    Source: Hsu et al. 2024 (Liger Kernel, arXiv 2410.10989), in torch's own operations.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, targets: Tensor, head: Any, cap: float | None) -> Tensor:
        rows = max(1, MOST_TRAINED // head.out_features)
        gradient, losses = torch.empty_like(hidden), []
        parts = (torch.split(one, rows) for one in (hidden, targets, gradient))
        for states, wanted, out in zip(*parts, strict=True):
            loss, of_states = _losses_and_gradient(states, wanted, head, cap)
            losses.append(loss)
            out.copy_(of_states)
        ctx.save_for_backward(gradient)
        return torch.cat(losses)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (of_hidden,) = ctx.saved_tensors
        # In float32: one over the number of targets, rounded to 8 bits, would be another rate.
        scaled = (of_hidden.float() * gradient[:, None]).to(of_hidden.dtype)
        return scaled, None, None, None


def _frozen_head_losses(hidden: Tensor, targets: Tensor, head: Any, cap: float | None) -> Tensor:
    losses: Tensor = _FrozenHeadLosses.apply(hidden, targets, head, cap)  # type: ignore[no-untyped-call]
    return losses


def _losses_and_gradient(
    hidden: Tensor, targets: Tensor, head: Any, cap: float | None
) -> tuple[Tensor, Tensor]:
    """Return the losses, ``(rows,)``, and the gradient of their sum by ``hidden``.

    The softmax is taken once: of the largest logit it is the inverse of the sum that the loss
    needs, and never too small for a logarithm. At most two float32 copies are there of a logit.
    """
    logits, places = head(hidden).float(), targets[:, None]
    if cap is not None:  # in float32, for in bfloat16 the slope of a large logit is mostly rounding
        logits = logits.div_(cap).tanh_().mul_(cap)
    most, at = logits.max(dim=-1, keepdim=True)
    chosen = logits.gather(1, places)
    gradient = logits.softmax(dim=-1)
    losses = (most - chosen - gradient.gather(1, at).log()).flatten()
    gradient.scatter_add_(1, places, torch.full_like(chosen, -1.0))
    if cap is not None:
        gradient.mul_(logits.div_(cap).square_().neg_().add_(1))
    del logits
    return losses, gradient.to(head.weight.dtype) @ head.weight
