"""How far a pruned model's hidden states have moved from the dense model's."""

from collections.abc import Callable

import torch

from pruning.container.container import LoadedModel
from pruning.profiling.dense_outputs import DenseOutputs, Outline, block_outputs


@torch.no_grad()
def reconstruction_errors(
    pruned: LoadedModel, dense: DenseOutputs, windows: torch.Tensor, step: Callable[[], None]
) -> dict[int, float]:
    """Return ``||Y_dense - Y_pruned||^2 / ||Y_dense||^2`` by block of the pruned model.

    ``Y``, ``(tokens, hidden)``, is the output of a block, each model fed its own hidden states;
    blocks are matched by their index in the dense model. After LoSA (arXiv 2502.14816), which
    normalises each channel by itself. ``step`` is called after each window.

    Raises:
        InvalidInput: ``dense`` lacks a block, or has another width or vocabulary.
    """
    partners = Outline.loaded(pruned).partners(dense.outline)
    difference = dict.fromkeys(partners, 0.0)
    total = dict.fromkeys(partners, 0.0)
    for number, window in enumerate(windows):
        ours, theirs = block_outputs(pruned.model, window), dense.window(number)
        for index, partner in partners.items():
            reference = theirs[partner].to(ours[index].device).float()
            moved = reference - ours[index][0].float()
            difference[index] += float(moved.square().sum())
            total[index] += float(reference.square().sum())
        step()
    return {index: difference[index] / total[index] for index in partners}
