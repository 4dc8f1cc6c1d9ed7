"""Block by block: each matrix is fitted to what it is fed in the model that is mended so far."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, kinds_of, matrix_of
from pruning.container.structure import matrix_name
from pruning.recovery.dense_targets import KINDS, DenseTargets
from pruning.recovery.moments import Moments
from pruning.recovery.ridge import Fit, best_fit
from pruning.statistics.hidden_states import HiddenStates
from rankspace.errors import InvalidContainer


def held_out_of(samples: int) -> int:
    """Return how many of ``samples`` windows, two at least, are held out: a quarter."""
    return max(1, samples // 4)


def reconstruct_blocks(
    model: PreTrainedModel,
    windows: torch.Tensor,
    dense: DenseTargets,
    step: Callable[[], None],
) -> Mapping[str, Fit]:
    """Fit ``o_proj`` and ``down_proj`` of every block in place; say by name what was done.

    A block runs three times: to look at ``o_proj``, with that one mended at ``down_proj``, and with
    both for the blocks behind. Held are the windows' hidden states twice, on the host, and the
    sums of one matrix. The last ``held_out_of`` windows, ``(samples, length)``, decide penalties.

    Raises:
        InvalidContainer: A matrix is fed or writes what is no number.
    """
    states, fits = HiddenStates(model, windows), {}
    for index, block in enumerate(blocks_of(model)):
        for kind in KINDS:
            if kind in kinds_of(block):
                name, matrix = matrix_name(index, kind), matrix_of(block, kind)
                with _watched(matrix, dense.of(index, kind)) as (fitted, held_out):
                    states.through(index)
                _check_finite(name, fitted, held_out)
                fits[name] = best_fit(matrix.weight, fitted, held_out)
                _write(matrix, fits[name])
        states.move(states.through(index))
        step()
    return fits


def _write(matrix: nn.Linear, fit: Fit) -> None:
    if fit.weight is not None:
        matrix.weight = nn.Parameter(fit.weight, requires_grad=False)


@contextmanager
def _watched(matrix: nn.Linear, targets: torch.Tensor) -> Iterator[tuple[Moments, Moments]]:
    """Tell moments of the fitted windows, and of the held-out ones, what ``matrix`` does meanwhile.

    Windows pass in the order of ``targets``, ``(samples, length, hidden)``.
    """
    sizes = matrix.in_features, matrix.out_features, matrix.weight.device
    fitted, held_out = Moments(*sizes), Moments(*sizes)
    first_held_out, seen = len(targets) - held_out_of(len(targets)), 0

    def look(_module: nn.Module, arguments: Any, output: torch.Tensor) -> None:
        nonlocal seen
        aims = targets[seen : seen + len(output)].to(output.device)
        cut = max(0, first_held_out - seen)
        for moments, some in ((fitted, slice(cut)), (held_out, slice(cut, None))):
            moments.add(arguments[0][some], output[some], aims[some])
        seen += len(output)

    handle = matrix.register_forward_hook(look)
    try:
        yield fitted, held_out
    finally:
        handle.remove()


def _check_finite(name: str, *looked: Moments) -> None:
    if not all(moments.is_finite for moments in looked):
        problem = "is fed, or writes, numbers that are none"
        fix = "load weights that are numbers, in a type that holds what they write"
        raise InvalidContainer("matrix", name, problem, fix=fix)
