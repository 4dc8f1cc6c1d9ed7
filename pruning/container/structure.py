"""Structure: what each decoder block of a model still has."""

import itertools
from dataclasses import dataclass

from rankspace.errors import InvalidContainer

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
MODULES = (*ATTENTION, *MLP)
"""Kinds of matrices of a block, in the order of the model."""


@dataclass(frozen=True, slots=True)
class BlockStructure:
    """One decoder block; attention or MLP may be gone, with the norms before and after it.

    Attributes:
        heads: Query heads; 0 where attention was removed.
        kv_heads: Key/value heads; each serves ``heads // kv_heads`` consecutive query heads.
        head_dim: Width of one head; pruning never changes it.
        ffn: Width of the feed-forward layer; 0 where the MLP was removed.
        biases: Kinds of matrices that carry a bias (``q_proj``, …), in the order of ``MODULES``.
        original_index: Index of the block in the dense model.
    """

    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    biases: tuple[str, ...]
    original_index: int

    def __post_init__(self) -> None:
        _positive("head_dim", self.head_dim)
        _positive("heads", self.heads, least=1 if self.kv_heads else 0)
        _positive("kv_heads", self.kv_heads, least=1 if self.heads else 0)
        _positive("ffn", self.ffn, least=0 if self.heads else 1)
        if self.heads and self.heads % self.kv_heads:
            raise InvalidContainer(
                "kv_heads",
                self.kv_heads,
                f"does not divide the {self.heads} query heads",
                fix="keep equally many query heads for every key/value head",
            )
        if self.biases != tuple(kind for kind in self.modules if kind in self.biases):
            raise InvalidContainer(
                "biases",
                list(self.biases),
                "names an unknown matrix, or names one twice or out of order",
                fix=f"use some of {list(self.modules)}, in this order",
            )

    @property
    def modules(self) -> tuple[str, ...]:
        """Kinds of the matrices it has, in the order of ``MODULES``."""
        return (ATTENTION if self.heads else ()) + (MLP if self.ffn else ())

    @property
    def lacks(self) -> str | None:
        """Which half was removed, in a word; None where both are there."""
        return None if self.heads and self.ffn else "attention" if self.ffn else "MLP"

    def shape(self, kind: str, hidden: int) -> tuple[int, int]:
        """Return ``(d_out, d_in)`` of the weight of ``kind`` in a model of width ``hidden``."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        return {
            "q_proj": (queries, hidden),
            "k_proj": (keys, hidden),
            "v_proj": (keys, hidden),
            "o_proj": (hidden, queries),
            "gate_proj": (self.ffn, hidden),
            "up_proj": (self.ffn, hidden),
            "down_proj": (hidden, self.ffn),
        }[kind]


@dataclass(frozen=True, slots=True)
class Structure:
    """All decoder blocks, first to last."""

    blocks: tuple[BlockStructure, ...]

    def __post_init__(self) -> None:
        _positive("blocks", len(self.blocks))
        indices = [block.original_index for block in self.blocks]
        if indices[0] < 0 or any(a >= b for a, b in itertools.pairwise(indices)):
            raise InvalidContainer(
                "blocks",
                indices,
                "the original indices do not rise",
                fix="list the blocks in the order of the dense model",
            )


def matrix_name(block: int, kind: str) -> str:
    """Return the full module name of one matrix."""
    return f"model.layers.{block}.{'self_attn' if kind in ATTENTION else 'mlp'}.{kind}"


def _positive(name: str, value: int, least: int = 1) -> None:
    if value < least:
        raise InvalidContainer(name, value, f"must be at least {least}", fix="write the model anew")
