"""``pruning_config.json`` of MultiPruner (Muñoz et al. 2025), beside the model it was applied to.

``pruned_attn_idx`` and ``pruned_mlp_idx`` list the halves of blocks that are gone;
``pruned_attn_width`` (rows of ``q_proj``) and ``pruned_mlp_width`` map blocks to what is left
(Hardware-Aware-Automated-Machine-Learning, ``MultiPruner/extract/extract_model.py``). The config
of the model stays the dense one's; the norms of a block that is gone are still stored.
"""

from collections.abc import Mapping
from typing import Any

from pruning.container.architecture import parse_architecture
from pruning.container.structure import BlockStructure
from pruning.container.translation import Translation
from pruning.importing.account import Account, without_blocks
from pruning.importing.claim import Claim
from rankspace.errors import InvalidContainer

NAME = "pruning_config.json"
LISTS = ("pruned_attn_idx", "pruned_mlp_idx")
WIDTHS = ("pruned_attn_width", "pruned_mlp_width")

_Json = Mapping[str, Any]


def is_multipruner(document: _Json) -> bool:
    """Whether a ``pruning_config.json`` is MultiPruner's; others use the name, too."""
    return not document.keys().isdisjoint((*LISTS, *WIDTHS))


def read_multipruner(document: _Json, config: _Json) -> Account:
    """Read the account that ``pruning_config.json`` gives of a model with this ``config.json``.

    Raises:
        InvalidContainer: A field is wrong.
    """
    dense = parse_architecture(config)
    attention, mlp = (_indices(document, key, dense.layers) for key in LISTS)
    dropped = attention & mlp
    queries, channels = (_widths(document, key, dense.layers) for key in WIDTHS)
    claims = {
        index: _claim(
            None if index in attention else queries.get(index),
            None if index in mlp else channels.get(index),
            index,
            dense.dense,
        )
        for index in range(dense.layers)
    }
    return Account(
        tool="MultiPruner",
        field=NAME,
        fix="give what extract/extract_model.py of MultiPruner writes: whether the weights were "
        f"put in another order first is not said in {NAME}, so that it is not applied here",
        translation=Translation(
            without_blocks(config, dropped), dropped, attention - dropped, mlp - dropped
        ),
        claims=claims,
    )


def _claim(queries: int | None, ffn: int | None, index: int, dense: BlockStructure) -> Claim:
    if queries is None:
        return Claim(ffn=ffn)
    heads, rest = divmod(queries, dense.head_dim)
    kv_heads, spare = divmod(heads, dense.heads // dense.kv_heads)
    if rest or spare or not kv_heads:
        problem = f"is no whole number of heads of width {dense.head_dim} in their groups"
        raise _wrong(f"{WIDTHS[0]}.{index}", queries, problem)
    return Claim(heads, kv_heads, ffn)


def _indices(document: _Json, key: str, layers: int) -> frozenset[int]:
    value = document.get(key) or []
    if not isinstance(value, list) or not all(type(i) is int and 0 <= i < layers for i in value):
        raise _wrong(key, value, f"must list blocks of the {layers} there are")
    return frozenset(value)


def _widths(document: _Json, key: str, layers: int) -> dict[int, int]:
    value = document.get(key) or {}
    names = {str(index): index for index in range(layers)}
    if not isinstance(value, dict) or not all(
        name in names and type(width) is int and width > 0 for name, width in value.items()
    ):
        raise _wrong(key, value, f"must map blocks of the {layers} there are to their width")
    return {names[name]: width for name, width in value.items()}


def _wrong(key: str, value: Any, problem: str) -> InvalidContainer:
    fix = "give the file that MultiPruner wrote for this model"
    return InvalidContainer(f"{NAME}.{key}", value, problem, fix=fix)
