"""Merging: an adapter's change added to the weights it was trained beside."""

import torch
from transformers import PreTrainedModel

from pruning.publishing.adapter import Adapter, LowRank
from rankspace.errors import InvalidInput
from rankspace.lease import WEIGHTS


@torch.no_grad()
def merge(model: PreTrainedModel, adapter: Adapter, dtype: torch.dtype | None = None) -> None:
    """Add every matrix's change to its weight, in float32, and round once to ``dtype``.

    Args:
        model: What the adapter was trained beside; all its parameters become ``dtype``.
        adapter: Changes by the full name of their matrix.
        dtype: None keeps the model's.

    Raises:
        InvalidInput: The adapter is of another model: nothing was changed.
    """
    weights = {name: _weight(model, name, low) for name, low in adapter.items()}
    for name, weight in weights.items():
        made = weight.float() + adapter[name].change().to(weight.device)
        weight.data = made.to(dtype or weight.dtype)
    if dtype is not None:
        # model.to() would also round the rotary tables, which stay float32 in any model.
        for parameter in model.parameters():
            parameter.data = parameter.data.to(dtype)
        model.config.dtype = dtype


def _weight(model: PreTrainedModel, name: str, low: LowRank) -> torch.Tensor:
    field = f"{WEIGHTS}: {name}"
    fix = "give the model that the study was submitted with"
    try:
        matrix = model.get_submodule(name)
    except AttributeError:
        problem = "the model has no such matrix"
        raise InvalidInput(field, name, problem, fix=fix) from None
    weight = matrix.weight
    shape = [low.second.shape[0], low.first.shape[1]]
    assert isinstance(weight, torch.Tensor)
    if shape != list(weight.shape):
        problem = f"is not the shape {list(weight.shape)} of the model's matrix"
        raise InvalidInput(field, shape, problem, fix=fix)
    return weight
