"""Claim: what a tool says it left of one block, held against the block's weights."""

from collections.abc import Mapping
from dataclasses import dataclass

from pruning.container.structure import BlockStructure, Structure
from rankspace.errors import InvalidContainer


@dataclass(frozen=True, slots=True)
class Claim:
    """The sizes of one block in a tool's own words; None where it says nothing.

    Attributes:
        heads: Query heads.
        kv_heads: Key/value heads.
        ffn: Width of the feed-forward layer.
    """

    heads: int | None = None
    kv_heads: int | None = None
    ffn: int | None = None


def check_claims(
    structure: Structure, claims: Mapping[int, Claim], *, field: str, fix: str
) -> None:
    """Check that the weights have the sizes that are claimed, by index in the dense model.

    Raises:
        InvalidContainer: Naming the first block and size that differ; ``field`` makes the claims.
    """
    for block in structure.blocks:
        claim = claims.get(block.original_index, Claim())
        for name in ("heads", "kv_heads", "ffn"):
            _check(block, claim, name, field, fix)


def _check(block: BlockStructure, claim: Claim, name: str, field: str, fix: str) -> None:
    claimed, found = getattr(claim, name), getattr(block, name)
    if claimed is not None and claimed != found:
        raise InvalidContainer(
            field,
            claimed,
            f"{name} of block {block.original_index}, but its weights have {found}",
            fix=fix,
        )
