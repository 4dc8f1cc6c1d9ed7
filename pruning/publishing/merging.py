"""Merging: an adapter's change added to the weights it was trained beside."""

from collections.abc import Mapping

import torch
from torch import nn
from transformers import PreTrainedModel

from pruning.publishing.adapter import Adapter, LowRank
from rankspace.errors import InvalidInput
from rankspace.lease import WEIGHTS
from tuning.factored.linear import FactoredLinear
from tuning.lora.places import put

_FIX = "give the model that the study was submitted with"


@torch.no_grad()
def merge(model: PreTrainedModel, adapter: Adapter, dtype: torch.dtype | None = None) -> None:
    """Add every matrix's change to its weight and round once to ``dtype``.

    Computed in float32, or in float64 where model or adapter is. Factors of rank k grow by the r
    columns and rows of the change: ``[L, sB] [R; A]`` is exact, and the model stays as small as it
    can be. Where that were as many weights as the matrix has, it becomes whole.

    Args:
        model: What the adapter was trained beside; all its parameters become ``dtype``.
        adapter: Changes by the full name of their matrix.
        dtype: None keeps the model's.

    Raises:
        InvalidInput: The adapter is of another model: nothing was changed. Or a sum is too large
            for its type: the model is of no use any more.
    """
    for name, matrix in matrices_of(model, adapter).items():
        low = adapter[name]
        if isinstance(matrix, FactoredLinear):
            put(model, name, _grown(name, matrix, low, dtype or matrix.left.dtype))
        else:
            wide = _widest(matrix.weight, low.first, low.second)
            total = matrix.weight.to(wide) + low.change(wide).to(matrix.weight.device)
            matrix.weight.data = _finite(name, total, dtype or matrix.weight.dtype)
    if dtype is not None:
        # model.to() would also round the rotary tables, which stay float32 in any model.
        for name, parameter in model.named_parameters():
            parameter.data = _finite(name, parameter.data, dtype)
        model.config.dtype = dtype


def _grown(name: str, matrix: FactoredLinear, low: LowRank, dtype: torch.dtype) -> nn.Linear:
    wide, device = _widest(matrix.left, low.first, low.second), matrix.left.device
    change = low.scale * low.second.to(device, wide)
    left = torch.cat((matrix.left.to(wide), change), dim=1)
    right = torch.cat((matrix.right.to(wide), low.first.to(device, wide)))
    d_out, d_in = matrix.out_features, matrix.in_features
    if len(right) * (d_out + d_in) < d_out * d_in:
        left, right = (_finite(name, part, dtype) for part in (left, right))
        return FactoredLinear(left, right, matrix.bias)
    whole = nn.Linear(d_in, d_out, bias=False, device="meta")
    whole.weight = nn.Parameter(_finite(name, left @ right, dtype), requires_grad=False)
    whole.bias = matrix.bias
    return whole


def _widest(*parts: torch.Tensor) -> torch.dtype:
    wide = torch.float32
    for part in parts:
        wide = torch.promote_types(wide, part.dtype)
    return wide


def _finite(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    cast = tensor.to(dtype)
    if not bool(torch.isfinite(cast).all()):
        largest = tensor.abs().max().item()
        problem = f"{name} holds {largest:g}, which {str(dtype).removeprefix('torch.')} does not"
        fix = "use --dtype bfloat16 or float32, and an adapter whose training did not diverge"
        raise InvalidInput("dtype", str(dtype).removeprefix("torch."), problem, fix=fix)
    return cast


def matrices_of(model: PreTrainedModel, adapter: Adapter) -> Mapping[str, nn.Linear]:
    """Return the matrices that ``adapter`` changes, by name.

    Raises:
        InvalidInput: The model lacks one, or has one of another shape.
    """
    found = {name: module for name, module in model.named_modules() if name in adapter}
    matrices = {}
    for name, low in adapter.items():
        matrix = found.get(name)
        if not isinstance(matrix, nn.Linear):
            raise _missing(name)
        check_fits(name, low, (matrix.out_features, matrix.in_features))
        matrices[name] = matrix
    return matrices


def check_fits(name: str, low: LowRank, shape: tuple[int, ...] | None) -> None:
    """Check that ``low`` changes a weight of ``shape``, ``(d_out, d_in)``; None where is none.

    Raises:
        InvalidInput: It does not.
    """
    if shape is None:
        raise _missing(name)
    own = [low.second.shape[0], low.first.shape[1]]
    if own != list(shape):
        problem = f"is not the shape {list(shape)} of the model's matrix"
        raise InvalidInput(f"{WEIGHTS}: {name}", own, problem, fix=_FIX)


def _missing(name: str) -> InvalidInput:
    return InvalidInput(f"{WEIGHTS}: {name}", name, "the model has no such matrix", fix=_FIX)
