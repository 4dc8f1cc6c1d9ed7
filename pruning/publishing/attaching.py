"""Attaching: an adapter's change computed beside the weights, which stay as they are."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import linear
from transformers import PreTrainedModel

from pruning.container.contents import Contents
from pruning.container.description import outline_of
from pruning.publishing.adapter import Adapter, LowRank
from pruning.publishing.merging import check_fits, matrices_of


@contextmanager
def attached(model: PreTrainedModel, adapter: Adapter) -> Iterator[None]:
    """Let ``model`` answer with ``adapter`` while the block runs.

    Merged into weights of 16 bits a change loses its small parts; here it keeps its own type, as
    in training.

    Raises:
        InvalidInput: The adapter is of another model.
    """
    hooks = [
        matrix.register_forward_hook(_adding(adapter[name], model.device))
        for name, matrix in matrices_of(model, adapter).items()
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def check_adapter(contents: Contents, adapter: Adapter) -> None:
    """Check that an adapter fits a model whose weights are not yet read.

    Raises:
        InvalidInput: The adapter is of another model.
    """
    shapes = {matrix.name: (matrix.d_out, matrix.d_in) for matrix in outline_of(contents).matrices}
    for name, low in adapter.items():
        check_fits(name, low, shapes.get(name))


def _adding(low: LowRank, device: torch.device) -> Callable[..., torch.Tensor]:
    first, second = low.first.to(device), low.second.to(device)

    def add(_: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        change = linear(linear(inputs[0].to(first.dtype), first), second) * low.scale
        return (output + change).to(output.dtype)  # rounded once, as peft does

    return add
