"""Models without attention in block 1 and without an MLP in block 2, and the same by zeros."""

from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.assembly import blocks_of, matrix_of, read_block, remove_absent


@dataclass(frozen=True)
class Halved:
    """A container of a model with halves of blocks removed, and what it has to compute.

    Attributes:
        directory: The container.
        reference: The whole model, its output projections of those halves zero.
    """

    directory: Path
    reference: PreTrainedModel


@torch.no_grad()
def silence(model: PreTrainedModel, index: int, kind: str) -> None:
    """Let a half of block ``index`` write zeros; ``kind`` is its last matrix."""
    matrix = matrix_of(blocks_of(model)[index], kind)
    matrix.weight.zero_()
    if matrix.bias is not None:
        matrix.bias.zero_()


def remove(model: PreTrainedModel, index: int, **sizes: int) -> None:
    """Take out the half of block ``index`` whose ``sizes`` are 0."""
    block, changes = read_block(blocks_of(model)[index], index), dict[str, Any](sizes)
    biases = tuple(
        kind for kind in block.biases if kind in replace(block, biases=(), **changes).modules
    )
    remove_absent(model, index, replace(block, biases=biases, **changes))


class Halve(Protocol):
    """Removes halves of a model's blocks and writes a container of it."""

    def __call__(self, model: PreTrainedModel, *, attention: int = 1, mlp: int = 2) -> Halved: ...


@pytest.fixture
def halve(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Halve:
    def made(model: PreTrainedModel, *, attention: int = 1, mlp: int = 2) -> Halved:
        reference, model = deepcopy(model), deepcopy(model)
        silence(reference, attention, "o_proj")
        silence(reference, mlp, "down_proj")
        remove(model, attention, heads=0, kv_heads=0)
        remove(model, mlp, ffn=0)
        container.write(model, tokenizer, tmp_path / "halved", provenance={})
        return Halved(tmp_path / "halved", reference)

    return made


@pytest.fixture
def halved(halve: Halve, llama: PreTrainedModel) -> Halved:
    return halve(llama)
