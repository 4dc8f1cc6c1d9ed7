"""One pass through the blocks, each of which may be cut before the next one is looked at."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import nn
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, kinds_of, matrix_of, replace_matrix
from pruning.statistics.hidden_states import HiddenStates
from pruning.statistics.input_statistics import InputStatistics

LEADERS: Mapping[str, str] = MappingProxyType(
    {"k_proj": "q_proj", "v_proj": "q_proj", "up_proj": "gate_proj"}
)
"""Matrices that are fed the very tensor that another one is."""

BlockStatistics: TypeAlias = Mapping[str, InputStatistics]
"""Of the matrices of one block by kind; those that are fed the same share one."""

Left: TypeAlias = Mapping[str, torch.Tensor | nn.Linear]
"""By kind: of ``o_proj`` and ``down_proj`` which of the input features are left, ``(d_in,)`` bool;
or what takes the matrix's place."""

Visit: TypeAlias = Callable[[int, BlockStatistics], Left | None]
"""Told a block's index and statistics; answers what is left of it for the blocks behind, or None to
feed these what the whole block writes."""


def visit_blocks(  # noqa: PLR0913 - what is looked at, where, and who is told
    model: PreTrainedModel,
    windows: torch.Tensor,
    blocks: Collection[int],
    visit: Visit,
    *,
    kinds: Collection[str],
    gram: Collection[str] = (),
    step: Callable[[], None] | None = None,
) -> None:
    """Show ``visit`` each of ``blocks``, rising, with what its matrices are fed.

    The model stays as it was: what is not left of a block is silenced for a second run of it, which
    its removal would equal, and what takes the place of a matrix is there for as long. Held are the
    windows' hidden states twice, on the host, and the statistics of one block, which are gone with
    it if ``visit`` keeps none.

    Args:
        model: Of any supported family; a block may lack attention or MLP.
        windows: Token ids, ``(samples, length)``.
        blocks: Those to show; the last ends the pass.
        visit: Called once for each.
        kinds: Of the matrices to look at, where a block has them.
        gram: Those of ``kinds`` whose Gram matrix is wanted, too.
        step: Called after each block up to the last of ``blocks``.
    """
    states, layers = HiddenStates(model, windows), blocks_of(model)
    for index in range(max(blocks) + 1):
        if index not in blocks:
            states.move(states.through(index))
        else:
            block = layers[index]
            with _watched(block, kinds, gram) as statistics:
                outputs = states.through(index)
            left = visit(index, statistics)
            if left is not None:
                del outputs  # or the states would be held three times in the second run
                with _left(block, left):
                    outputs = states.through(index)
            states.move(outputs)
        if step:
            step()


@contextmanager
def _watched(
    block: nn.Module, kinds: Collection[str], gram: Collection[str]
) -> Iterator[BlockStatistics]:
    there = [kind for kind in kinds_of(block) if kind in kinds]
    wanted = {LEADERS.get(kind, kind) for kind in gram}
    leaders = {
        leader: InputStatistics(gram=leader in wanted)
        for leader in dict.fromkeys(LEADERS.get(kind, kind) for kind in there)
    }
    handles = [
        matrix_of(block, kind).register_forward_pre_hook(_teller(statistics))
        for kind, statistics in leaders.items()
    ]
    try:
        yield {kind: leaders[LEADERS.get(kind, kind)] for kind in there}
    finally:
        for handle in handles:
            handle.remove()


def _teller(statistics: InputStatistics) -> Callable[[nn.Module, Any], None]:
    def tell(_module: nn.Module, arguments: Any) -> None:
        statistics.add(arguments[0])

    return tell


@contextmanager
def _left(block: nn.Module, left: Left) -> Iterator[None]:
    before = {kind: matrix_of(block, kind) for kind in left}
    handles = [
        before[kind].register_forward_pre_hook(_silencer(features))
        for kind, features in left.items()
        if isinstance(features, torch.Tensor)
    ]
    for kind, matrix in left.items():
        if isinstance(matrix, nn.Linear):
            replace_matrix(block, kind, matrix)
    try:
        yield
    finally:
        for kind, matrix in before.items():
            replace_matrix(block, kind, matrix)
        for handle in handles:
            handle.remove()


def _silencer(features: torch.Tensor) -> Callable[[nn.Module, Any], Any]:
    def silence(_module: nn.Module, arguments: Any) -> Any:
        inputs = arguments[0]
        return (inputs * features.to(inputs.device, inputs.dtype),)

    return silence
