"""How far a pruned model's hidden states have moved from the dense model's."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of
from pruning.container.container import LoadedModel
from rankspace.errors import InvalidInput


@torch.no_grad()
def reconstruction_errors(
    pruned: LoadedModel, dense: LoadedModel, windows: torch.Tensor, step: Callable[[], None]
) -> dict[int, float]:
    """Return ``||Y_dense - Y_pruned||^2 / ||Y_dense||^2`` by block of the pruned model.

    ``Y``, ``(tokens, hidden)``, is the output of a block, each model fed its own hidden states;
    blocks are matched by their index in the dense model. After LoSA (arXiv 2502.14816), which
    normalises each channel by itself. ``step`` is called after each window.

    Raises:
        InvalidInput: ``dense`` lacks a block, or has another width or vocabulary.
    """
    partners = _partners(pruned, dense)
    difference = dict.fromkeys(partners, 0.0)
    total = dict.fromkeys(partners, 0.0)
    for window in windows:
        ours, theirs = _outputs(pruned.model, window), _outputs(dense.model, window)
        for index, partner in partners.items():
            reference = theirs[partner].float()
            moved = reference - ours[index].float().to(reference.device)
            difference[index] += float(moved.square().sum())
            total[index] += float(reference.square().sum())
        step()
    return {index: difference[index] / total[index] for index in partners}


def _partners(pruned: LoadedModel, dense: LoadedModel) -> Mapping[int, int]:
    for name in ("hidden_size", "vocab_size"):
        ours, theirs = getattr(pruned.model.config, name), getattr(dense.model.config, name)
        if ours != theirs:
            raise _another(f"has {name} {theirs}, the pruned model {ours}", dense)
    there = {block.original_index: i for i, block in enumerate(dense.structure.blocks)}
    partners = {}
    for index, block in enumerate(pruned.structure.blocks):
        if block.original_index not in there:
            raise _another(f"lacks block {block.original_index}", dense)
        partners[index] = there[block.original_index]
        lacks = dense.structure.blocks[partners[index]].lacks
        if lacks not in (None, block.lacks):
            raise _another(f"has no {lacks} in block {block.original_index}", dense)
    return partners


def _outputs(model: PreTrainedModel, window: torch.Tensor) -> list[torch.Tensor]:
    """Run one window ``(length,)``; return each block's output, ``(1, length, hidden)``."""
    outputs: list[torch.Tensor] = []
    with _recording(blocks_of(model), outputs):
        model(input_ids=window[None].to(model.device), use_cache=False)
    return outputs


@contextmanager
def _recording(layers: nn.ModuleList, outputs: list[torch.Tensor]) -> Iterator[None]:
    def record(_module: nn.Module, _arguments: Any, output: torch.Tensor) -> None:
        outputs.append(output)

    handles = [layer.register_forward_hook(record) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _another(problem: str, dense: LoadedModel) -> InvalidInput:
    fix = "give the model this one was pruned from"
    return InvalidInput("dense", dense.description.path, problem, fix=fix)
