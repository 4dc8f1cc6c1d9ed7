"""Merging: an adapter's change added to the weights it was trained beside."""

import torch
from transformers import PreTrainedModel

from pruning.publishing.adapter import Adapter, LowRank
from rankspace.errors import InvalidInput
from rankspace.lease import WEIGHTS


@torch.no_grad()
def merge(model: PreTrainedModel, adapter: Adapter, dtype: torch.dtype | None = None) -> None:
    """Add every matrix's change to its weight and round once to ``dtype``.

    Computed in float32, or in float64 where model or adapter is.

    Args:
        model: What the adapter was trained beside; all its parameters become ``dtype``.
        adapter: Changes by the full name of their matrix.
        dtype: None keeps the model's.

    Raises:
        InvalidInput: The adapter is of another model: nothing was changed. Or a sum is too large
            for its type: the model is of no use any more.
    """
    weights = {name: weight_of(model, name, low) for name, low in adapter.items()}
    for name, weight in weights.items():
        weight.data = _finite(name, _sum(weight, adapter[name]), dtype or weight.dtype)
    if dtype is not None:
        # model.to() would also round the rotary tables, which stay float32 in any model.
        for name, parameter in model.named_parameters():
            parameter.data = _finite(name, parameter.data, dtype)
        model.config.dtype = dtype


def _sum(weight: torch.Tensor, low: LowRank) -> torch.Tensor:
    wide = torch.float32
    for part in (weight, low.first, low.second):
        wide = torch.promote_types(wide, part.dtype)
    return weight.to(wide) + low.change(wide).to(weight.device)


def _finite(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    cast = tensor.to(dtype)
    if not bool(torch.isfinite(cast).all()):
        largest = tensor.abs().max().item()
        problem = f"{name} holds {largest:g}, which {str(dtype).removeprefix('torch.')} does not"
        fix = "use --dtype bfloat16 or float32, and an adapter whose training did not diverge"
        raise InvalidInput("dtype", str(dtype).removeprefix("torch."), problem, fix=fix)
    return cast


def weight_of(model: PreTrainedModel, name: str, low: LowRank) -> torch.Tensor:
    """Return the weight that ``low`` belongs to.

    Raises:
        InvalidInput: The model has no such matrix, or one of another shape.
    """
    try:
        weight = model.get_submodule(name).weight
    except AttributeError:
        weight = None
    assert weight is None or isinstance(weight, torch.Tensor)
    check_fits(name, low, None if weight is None else tuple(weight.shape))
    assert weight is not None
    return weight


def check_fits(name: str, low: LowRank, shape: tuple[int, ...] | None) -> None:
    """Check that ``low`` changes a weight of ``shape``, ``(d_out, d_in)``; None where is none.

    Raises:
        InvalidInput: It does not.
    """
    field = f"{WEIGHTS}: {name}"
    fix = "give the model that the study was submitted with"
    if shape is None:
        raise InvalidInput(field, name, "the model has no such matrix", fix=fix)
    own = [low.second.shape[0], low.first.shape[1]]
    if own != list(shape):
        problem = f"is not the shape {list(shape)} of the model's matrix"
        raise InvalidInput(field, own, problem, fix=fix)
