"""Profiling: what the performance model may know of a layer before any trial."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from pruning.container.architecture import check_positions
from pruning.container.assembly import blocks_of, matrix_of
from pruning.container.container import LoadedModel
from pruning.container.structure import BlockStructure, Structure
from pruning.factors import multiplied_out
from pruning.profiling.dense_outputs import DenseOutputs, Outline
from pruning.profiling.gradients import count_runs, measure_gradients
from pruning.profiling.input_spectrum import InputSpectra, components_for
from pruning.profiling.reconstruction import reconstruction_errors
from pruning.profiling.spectrum import squared_singular_values
from pruning.progress import OnProgress, Steps
from rankspace.layer_profile import LayerProfile

Norms = Mapping[str, tuple[float, float]]
"""Root mean squares of a matrix's input and output, by full module name."""


def profile(
    loaded: LoadedModel,
    windows: torch.Tensor,
    dense: DenseOutputs | None = None,
    *,
    components: int | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[LayerProfile, ...]:
    """Measure every matrix of the decoder blocks, in the order of the model.

    Args:
        loaded: The pruned model; left as it was.
        windows: Token ids, ``(samples, length)``.
        dense: What the model it was pruned from wrote on ``windows``, for the reconstruction
            errors.
        components: Of each matrix's input, whose shares of its variance are kept; 0 for none,
            None for as many as ``input_spectrum.components_for`` says.
        on_progress: Called after each window of each pass, and after each matrix's effective
            rank, which takes longest in large models.

    Factors are multiplied out meanwhile: what is measured is of the matrix that they make.

    Raises:
        InvalidInput: ``dense`` is another model, the loss is not finite, the windows are longer
            than the model is made for, or there are not so many ``components``.
    """
    check_positions("length", windows.shape[1], loaded.model.config.to_dict())
    if dense:
        Outline.loaded(loaded).partners(dense.outline)
    with multiplied_out(loaded.model):
        return _profile(loaded, windows, dense, components, on_progress)


def _profile(
    loaded: LoadedModel,
    windows: torch.Tensor,
    dense: DenseOutputs | None,
    components: int | None,
    on_progress: OnProgress | None,
) -> tuple[LayerProfile, ...]:
    matrices = _matrices(loaded)
    spectra = InputSpectra(components_for(len(matrices), windows.numel(), components))
    passes = len(windows) * (2 if dense else 1) + count_runs(matrices, windows)
    step = Steps(passes + len(matrices), on_progress)
    gradient_norms = {  # first: it refuses a model whose numbers are none
        name: _relative_norm(gradient.mean, matrices[name].weight)
        for name, gradient in measure_gradients(loaded.model, matrices, windows, step=step)
    }
    norms = _measure_inputs(loaded.model, matrices, windows, spectra, step)
    explained = spectra.explained()
    errors = reconstruction_errors(loaded, dense, windows, step) if dense else {}
    ranks = _effective_ranks(matrices, step)
    dense_sizes = _dense_sizes(loaded, dense)
    return tuple(
        LayerProfile(
            name=matrix.name,
            depth=matrix.block / max(1, len(loaded.structure.blocks) - 1),
            kept=matrix.weights / dense_sizes[matrix.name],
            input_norm=norms[matrix.name][0],
            output_norm=norms[matrix.name][1],
            gradient_norm=gradient_norms[matrix.name],
            effective_rank=ranks[matrix.name],
            reconstruction_error=errors.get(matrix.block),
            explained=explained.get(matrix.name, ()),
        )
        for matrix in loaded.description.matrices
    )


def effective_rank(weight: torch.Tensor) -> float:
    """Return ``exp(H(p)) / n`` with ``p`` the singular values over their sum, ``n`` their number.

    Source: Roy & Vetterli, The effective rank (EUSIPCO 2007), definition 1, here as a share.
    """
    singular = squared_singular_values(weight).sqrt()
    total = singular.sum()
    if total == 0:
        return 1.0 / len(singular)
    share = singular / total
    entropy = -torch.special.xlogy(share, share).sum()
    return float(entropy.exp() / len(singular))


def _effective_ranks(
    matrices: Mapping[str, nn.Linear], step: Callable[[], None]
) -> dict[str, float]:
    ranks = {}
    for name, matrix in matrices.items():
        ranks[name] = effective_rank(matrix.weight)
        step()
    return ranks


def _matrices(loaded: LoadedModel) -> dict[str, nn.Linear]:
    layers = blocks_of(loaded.model)
    return {
        matrix.name: matrix_of(layers[matrix.block], matrix.module)
        for matrix in loaded.description.matrices
    }


@torch.no_grad()
def _measure_inputs(
    model: PreTrainedModel,
    matrices: Mapping[str, nn.Linear],
    windows: torch.Tensor,
    spectra: InputSpectra,
    step: Callable[[], None],
) -> Norms:
    inputs = dict.fromkeys(matrices, 0.0)
    outputs = dict.fromkeys(matrices, 0.0)

    def observe(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, arguments: Any, output: torch.Tensor) -> None:
            # Every window has the same number of entries, so means of means are means.
            inputs[name] += float(arguments[0].float().square().mean()) / len(windows)
            outputs[name] += float(output.float().square().mean()) / len(windows)
            spectra.add(name, arguments[0])

        return hook

    with _hooked({matrix: observe(name) for name, matrix in matrices.items()}):
        for window in windows:
            model(input_ids=window[None].to(model.device), use_cache=False)
            step()
    return {name: (inputs[name] ** 0.5, outputs[name] ** 0.5) for name in matrices}


@contextmanager
def _hooked(hooks: Mapping[nn.Linear, Callable[..., None]]) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module, hook in hooks.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _relative_norm(gradient: torch.Tensor, weight: torch.Tensor) -> float:
    norm = float(weight.detach().float().norm())
    return float(gradient.norm()) / norm if norm else 0.0


def _dense_sizes(loaded: LoadedModel, dense: DenseOutputs | None) -> dict[str, int]:
    """Return the parameters of each matrix before pruning, by its name in the pruned model.

    Without the dense model the config answers: a container keeps that of the dense model.
    """
    sizes = {}
    hidden = int(loaded.model.config.hidden_size)
    by_original = _by_original(dense.outline.structure) if dense else {}
    for matrix in loaded.description.matrices:
        original = loaded.structure.blocks[matrix.block].original_index
        block = by_original.get(original, loaded.dense_block)
        d_out, d_in = block.shape(matrix.module, hidden)
        sizes[matrix.name] = d_out * d_in
    return sizes


def _by_original(structure: Structure) -> dict[int, BlockStructure]:
    return {block.original_index: block for block in structure.blocks}
