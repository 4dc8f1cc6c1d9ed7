"""Masks on what the matrices of blocks write, in place of removal, while a model is trained."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, read_block
from pruning.container.structure import BlockStructure, matrix_name
from pruning.methods.importance import ROWS, Importance
from pruning.methods.surgery import Kept, whole_groups


class Masks:
    """Which heads and channels of some blocks still write; those that are masked stay masked.

    A head whose queries, keys and values are 0, and a channel whose gate and input are, add nothing
    to what their block writes, biases included: as if they were removed.
    """

    def __init__(self, model: PreTrainedModel, blocks: tuple[int, ...]) -> None:
        layers = blocks_of(model)
        self._model = model
        self._blocks = {index: read_block(layers[index], index) for index in blocks}
        self._heads = {i: torch.ones(b.kv_heads, dtype=torch.bool) for i, b in self._blocks.items()}
        self._channels = {i: torch.ones(b.ffn, dtype=torch.bool) for i, b in self._blocks.items()}
        self._rows: dict[tuple[int, str], Tensor] = {}

    def counts(self, index: int) -> tuple[int, int]:
        """Return how many key/value heads and channels the block has, masked ones too."""
        return self._blocks[index].kv_heads, self._blocks[index].ffn

    def grow(self, index: int, scores: Importance, heads: int, channels: int) -> None:
        """Mask so many of a block, masked ones among them: those with the lowest scores."""
        self.set(
            index,
            _lowest_masked(self._heads[index], scores.kv_heads, heads),
            _lowest_masked(self._channels[index], scores.channels, channels),
        )

    def set(self, index: int, heads: Tensor, channels: Tensor) -> None:
        """Let those write that are true in ``(kv_heads,)`` and ``(ffn,)``."""
        self._heads[index], self._channels[index] = heads, channels
        for kind, rows in _rows(self._blocks[index], heads, channels).items():
            self._rows[index, kind] = rows.to(self._model.device)

    @property
    def kept(self) -> Mapping[int, Kept]:
        """What is not masked."""
        return {
            index: whole_groups(block, _places(self._heads[index]), _places(self._channels[index]))
            for index, block in self._blocks.items()
        }

    @contextmanager
    def put_on(self) -> Iterator[None]:
        """Multiply what the matrices write, or whatever stands in their place, by the masks."""
        names = [(i, kind) for i, block in self._blocks.items() for kind in ROWS]
        handles = [
            self._model.get_submodule(matrix_name(*name)).register_forward_hook(self._hook(*name))
            for name in names
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, index: int, kind: str) -> Any:
        def masked(_module: Any, _inputs: Any, written: Tensor) -> Tensor:
            rows = self._rows.get((index, kind))
            return written if rows is None else written * rows

        return masked


def _lowest_masked(stays: Tensor, scores: Tensor, count: int) -> Tensor:
    """Mask the ``count`` lowest, first of all those that are masked already."""
    order = scores.cpu().masked_fill(~stays, -torch.inf).argsort(stable=True)
    found = torch.ones_like(stays)
    found[order[:count]] = False
    return found


def _rows(block: BlockStructure, heads: Tensor, channels: Tensor) -> dict[str, Tensor]:
    """Return for each kind which of its rows write."""
    queries = heads.repeat_interleave(block.heads // block.kv_heads * block.head_dim)
    keys = heads.repeat_interleave(block.head_dim)
    return dict(zip(ROWS, (queries, keys, keys, channels, channels), strict=True))


def _places(stays: Tensor) -> list[int]:
    places: list[int] = stays.nonzero().flatten().tolist()
    return places
