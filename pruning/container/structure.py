"""Structure: what each decoder block of a model still has."""

import itertools
from dataclasses import dataclass, field, replace

from rankspace.errors import InvalidContainer
from rankspace.wire import LATER

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
MODULES = (*ATTENTION, *MLP)
"""Kinds of matrices of a block, in the order of the model."""


@dataclass(frozen=True, slots=True)
class Factors:
    """A matrix ``(d_out, d_in)`` that is kept as ``left``, ``(d_out, rank)``, times ``right``.

    Attributes:
        kind: Of the matrix (``q_proj``, …).
        rank: Columns of ``left``, rows of ``right``.
    """

    kind: str
    rank: int

    def __post_init__(self) -> None:
        _positive("rank", self.rank)


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
        factors: The matrices that are kept as two thin ones, in the order of ``MODULES``.
    """

    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    biases: tuple[str, ...]
    original_index: int
    factors: tuple[Factors, ...] = field(default=(), metadata=LATER)

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
        self._check_kinds("biases", self.biases)
        self._check_kinds("factors", tuple(one.kind for one in self.factors))

    @property
    def modules(self) -> tuple[str, ...]:
        """Kinds of the matrices it has, in the order of ``MODULES``."""
        return (ATTENTION if self.heads else ()) + (MLP if self.ffn else ())

    @property
    def lacks(self) -> str | None:
        """Which half was removed, in a word; None where both are there."""
        return None if self.heads and self.ffn else "attention" if self.ffn else "MLP"

    def rank(self, kind: str) -> int | None:
        """Return the rank of the factors of ``kind``; None where the matrix is whole."""
        return next((one.rank for one in self.factors if one.kind == kind), None)

    def weights(self, kind: str, hidden: int) -> int:
        """Return how many weights the matrix ``kind`` has, without its bias."""
        d_out, d_in = self.shape(kind, hidden)
        rank = self.rank(kind)
        return d_out * d_in if rank is None else rank * (d_out + d_in)

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

    def _check_kinds(self, name: str, kinds: tuple[str, ...]) -> None:
        if kinds != tuple(kind for kind in self.modules if kind in kinds):
            raise InvalidContainer(
                name,
                list(kinds),
                "names an unknown matrix, or names one twice or out of order",
                fix=f"use some of {list(self.modules)}, in this order",
            )


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

    @property
    def is_factored(self) -> bool:
        """Whether any matrix is kept as two thin ones."""
        return any(block.factors for block in self.blocks)

    @property
    def multiplied_out(self) -> "Structure":
        """The structure of the same model with every matrix whole."""
        return Structure(tuple(replace(block, factors=()) for block in self.blocks))


def matrix_name(block: int, kind: str) -> str:
    """Return the full module name of one matrix."""
    return f"model.layers.{block}.{'self_attn' if kind in ATTENTION else 'mlp'}.{kind}"


def _positive(name: str, value: int, least: int = 1) -> None:
    if value < least:
        raise InvalidContainer(name, value, f"must be at least {least}", fix="write the model anew")
