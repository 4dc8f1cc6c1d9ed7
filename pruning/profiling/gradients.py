"""Gradients of the language-modelling loss on calibration windows."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn
from transformers import PreTrainedModel

from rankspace.errors import InvalidInput

Key = TypeVar("Key", bound=Hashable)

LIMIT_BYTES = 4_000_000_000
"""Of the sums held at a time; the model is run again for the matrices beyond."""

BATCH_TOKENS = 256
"""Of the windows run at a time, whose activations are held together; of one window at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Gradient:
    """Of one matrix, each of the weight's shape, float32.

    Attributes:
        mean: Gradient of the loss averaged over the windows.
        mean_square: Mean over the windows of the squared gradient (the diagonal of the empirical
            Fisher matrix); None unless asked for.
    """

    mean: torch.Tensor
    mean_square: torch.Tensor | None


def measure_gradients(  # noqa: PLR0913 - two limits of memory
    model: PreTrainedModel,
    matrices: Mapping[Key, nn.Linear],
    windows: torch.Tensor,
    *,
    squared: bool = False,
    limit: int = LIMIT_BYTES,
    most: int = BATCH_TOKENS,
    step: Callable[[], None] | None = None,
) -> Iterator[tuple[Key, Gradient]]:
    """Differentiate the mean next-token loss, as many windows ``(length,)`` at a time as fit.

    One at a time where each window's own gradient is wanted for ``mean_square``. The model is left
    as it was: no gradient stored, nothing requiring one.

    Args:
        model: Causal language model.
        matrices: Those whose gradients are wanted.
        windows: Token ids, ``(samples, length)``.
        squared: Whether ``mean_square`` is wanted too, for twice the memory.
        limit: Bytes of sums to hold at a time; at least one matrix's are. It changes no result.
        most: Tokens to run at a time; at least one window's are. It changes no more than rounding.
        step: Called after each of the ``count_runs`` backward passes.

    Yields:
        Each matrix's gradient in the order of ``matrices``, to be reduced and dropped at once.

    Raises:
        InvalidInput: The loss is not finite.
    """
    for group in _groups(matrices, squared, limit):
        sums = _accumulate(model, group, _batches(windows, squared, most), squared, step)
        for key in group:
            yield key, sums.pop(key)


def count_runs(
    matrices: Mapping[Key, nn.Linear],
    windows: torch.Tensor,
    *,
    squared: bool = False,
    limit: int = LIMIT_BYTES,
    most: int = BATCH_TOKENS,
) -> int:
    """Return how many backward passes ``measure_gradients`` takes with the same arguments."""
    return len(_batches(windows, squared, most)) * len(_groups(matrices, squared, limit))


def _batches(windows: torch.Tensor, squared: bool, most: int) -> tuple[torch.Tensor, ...]:
    """Divide ``windows`` into those run together, ``(n, length)``, n at least 1."""
    return torch.split(windows, 1 if squared else max(1, most // windows.shape[1]))


def _groups(
    matrices: Mapping[Key, nn.Linear], squared: bool, limit: int
) -> list[dict[Key, nn.Linear]]:
    """Divide ``matrices`` in their order into groups whose sums fit into ``limit`` bytes."""
    groups: list[dict[Key, nn.Linear]] = []
    filled = limit
    for key, matrix in matrices.items():
        needed = 4 * matrix.weight.numel() * (2 if squared else 1)
        if not groups or filled + needed > limit:
            groups.append({})
            filled = 0
        groups[-1][key] = matrix
        filled += needed
    return groups


def _accumulate(
    model: PreTrainedModel,
    matrices: Mapping[Key, nn.Linear],
    batches: Sequence[torch.Tensor],
    squared: bool,
    step: Callable[[], None] | None,
) -> dict[Key, Gradient]:
    sums = {key: _zeros(matrix.weight, squared) for key, matrix in matrices.items()}
    weights = {matrix.weight: sums[key] for key, matrix in matrices.items()}
    count = sum(map(len, batches))
    with torch.enable_grad(), _adding_up(weights, share=1 / count):
        for windows in batches:
            loss = next_token_loss(model, windows)
            _check_finite(loss.detach())
            torch.autograd.backward([loss * len(windows)])
            if step:
                step()
    return sums


def _zeros(weight: torch.Tensor, squared: bool) -> Gradient:
    mean = torch.zeros_like(weight, dtype=torch.float32)
    return Gradient(mean, torch.zeros_like(mean) if squared else None)


def next_token_loss(model: PreTrainedModel, windows: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy in nats of predicting each next token; a scalar.

    The same number as ``tuning.losses.summed_loss`` over its tokens but for rounding, on which
    hangs what is pruned where two parts are about as important.

    Args:
        model: Causal language model with vocabulary size ``v``.
        windows: Token ids, ``(n, length)``, all of them text.
    """
    ids = windows.to(model.device)
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    return nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


@contextmanager
def _adding_up(sums: Mapping[torch.Tensor, Gradient], share: float) -> Iterator[None]:
    """Add ``share`` of each gradient to its sums as soon as it is there, and drop it."""

    def add(weight: torch.Tensor) -> None:
        total, part = sums[weight], weight.grad
        assert part is not None
        weight.grad = None
        total.mean.add_(part, alpha=share)
        if total.mean_square is not None:
            total.mean_square.addcmul_(part.float(), part.float(), value=share)

    before = {weight: weight.grad for weight in sums}
    handles: list[Any] = []
    try:
        for weight in sums:
            weight.grad = None
            weight.requires_grad_(True)
            handles.append(weight.register_post_accumulate_grad_hook(add))  # type: ignore[no-untyped-call]
        yield
    finally:
        for handle in handles:
            handle.remove()
        for weight, gradient in before.items():
            weight.requires_grad_(False)
            weight.grad = gradient


def _check_finite(loss: torch.Tensor) -> None:
    if not torch.isfinite(loss):
        raise InvalidInput(
            "model",
            loss.item(),
            "its loss on the calibration text is not a number",
            fix="load it in bfloat16 or float32; Llama-2 overflows in float16",
        )
