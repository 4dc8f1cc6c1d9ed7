"""Attaching: an adapter's change computed beside the weights, which stay as they are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel

from pruning.publishing.adapter import Adapter, LowRank
from pruning.publishing.merging import weight_of


@contextmanager
def attached(model: PreTrainedModel, adapter: Adapter) -> Iterator[None]:
    """Let ``model`` answer with ``adapter`` while the block runs.

    Merged into weights of 16 bits a change loses its small parts; here it keeps its own type, as
    in training.

    Raises:
        InvalidInput: The adapter is of another model.
    """
    for name, low in adapter.items():
        weight_of(model, name, low)
    hooks = [
        model.get_submodule(name).register_forward_hook(_adding(low, model.device))
        for name, low in adapter.items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _adding(low: LowRank, device: torch.device) -> Callable[..., torch.Tensor]:
    first, second = low.first.to(device), low.second.to(device)

    def add(_: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        change = low.scale * (inputs[0].to(first.dtype) @ first.T @ second.T)
        return output + change.to(output.dtype)

    return add
