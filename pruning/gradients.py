"""Gradients of the language-modelling loss on calibration windows."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from rankspace.errors import InvalidInput

OnProgress = Callable[[int, int], None]
"""Called with windows done and windows in all."""


@dataclass(frozen=True, slots=True, eq=False)
class Gradients:
    """Per matrix, by full module name, each of the weight's shape, float32.

    Attributes:
        mean: Gradient of the loss averaged over the windows.
        mean_square: Mean over the windows of the squared gradient (the diagonal of the empirical
            Fisher matrix); empty unless asked for.
    """

    mean: Mapping[str, torch.Tensor]
    mean_square: Mapping[str, torch.Tensor]


def measure_gradients(
    model: PreTrainedModel,
    matrices: Mapping[str, nn.Linear],
    windows: torch.Tensor,
    *,
    squared: bool = False,
    on_progress: OnProgress | None = None,
) -> Gradients:
    """Differentiate the mean next-token loss, one window ``(length,)`` at a time.

    The model is left as it was: no gradient stored, nothing requiring one.

    Raises:
        InvalidInput: The loss is not finite.
    """
    weights = {name: matrix.weight for name, matrix in matrices.items()}
    mean = {name: torch.zeros_like(w, dtype=torch.float32) for name, w in weights.items()}
    square = {name: torch.zeros_like(total) for name, total in mean.items()} if squared else {}
    with torch.enable_grad(), _requiring_gradients(weights.values()):
        for done, window in enumerate(windows, start=1):
            loss = next_token_loss(model, window[None])
            _check_finite(loss.detach())
            parts = torch.autograd.grad(loss, list(weights.values()))
            for name, part in zip(weights, parts, strict=True):
                mean[name].add_(part, alpha=1 / len(windows))
                if squared:
                    square[name].addcmul_(part.float(), part.float(), value=1 / len(windows))
            if on_progress:
                on_progress(done, len(windows))
    return Gradients(mean, square)


def next_token_loss(model: PreTrainedModel, windows: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy in nats of predicting each next token; a scalar.

    Args:
        model: Causal language model with vocabulary size ``v``.
        windows: Token ids, ``(n, length)``, all of them text.
    """
    ids = windows.to(model.device)
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    return nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


@contextmanager
def _requiring_gradients(weights: Iterable[torch.Tensor]) -> Iterator[None]:
    chosen = list(weights)
    for weight in chosen:
        weight.requires_grad_(True)
    try:
        yield
    finally:
        for weight in chosen:
            weight.requires_grad_(False)


def _check_finite(loss: torch.Tensor) -> None:
    if not torch.isfinite(loss):
        raise InvalidInput(
            "model",
            loss.item(),
            "its loss on the calibration text is not a number",
            fix="load it in bfloat16 or float32; Llama-2 overflows in float16",
        )
