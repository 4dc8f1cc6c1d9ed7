"""``block_configs`` of NVIDIA's ModelOpt (Puzzletron) and of the DeciLM models before it.

One entry per block. ModelOpt: ``attention.num_key_value_heads`` and ``ffn.intermediate_size``
(Model-Optimizer, ``modelopt/torch/puzzletron/block_config.py``). DeciLM, Llama-Nemotron:
``attention.n_heads_in_group`` and ``ffn.ffn_mult`` (``modeling_decilm.py``, and vLLM's
``nemotron_nas.py``). Query heads are never pruned. Their own code is not run: what they build of
these fields are the stock blocks of the base model, of other sizes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pruning.container.translation import Translation
from pruning.importing.account import Account, without_blocks
from pruning.importing.claim import Claim
from rankspace.errors import InvalidContainer

KEY = "block_configs"
FIELD = f"config.json.{KEY}"
ROUNDING = 256
"""DeciLM rounds the width of an MLP up to a multiple of this."""

_SIZES = frozenset({"num_key_value_heads", "n_heads_in_group", "intermediate_size", "ffn_mult"})
_NO_EFFECT = frozenset({"no_op", "sparsify", "weights_precision"})
"""Fields that decide no shape and no computation: of masks, the weights hold the zeros."""
_OF_OTHERS = frozenset({KEY, "auto_map", "base_architecture", "block_config_shortcut"})

_Json = Mapping[str, Any]


def read_block_configs(config: _Json) -> Account:
    """Read the account a ``config.json`` with ``block_configs`` gives.

    Raises:
        InvalidContainer: It asks for what no stock block is.
    """
    entries = _entries(config)
    halves = [(_half(entry, "attention", i), _half(entry, "ffn", i)) for i, entry in entries]
    without_attention = frozenset(i for i, (half, _) in enumerate(halves) if _is_gone(half))
    without_mlp = frozenset(i for i, (_, half) in enumerate(halves) if _is_gone(half))
    dropped = without_attention & without_mlp
    claims = {
        index: _claim(config, attention, ffn, index)
        for index, (attention, ffn) in enumerate(halves)
        if index not in dropped
    }
    return Account(
        tool="ModelOpt or DeciLM (block_configs)",
        field=FIELD,
        fix="give the config that was saved with these weights",
        translation=Translation(
            _stock(config, claims, dropped),
            dropped,
            without_attention - dropped,
            without_mlp - dropped,
        ),
        claims=claims,
    )


def _entries(config: _Json) -> list[tuple[int, _Json]]:
    entries, layers = config[KEY], config.get("num_hidden_layers")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise _unread(FIELD, type(entries).__name__, "must be a list with an object per block")
    if len(entries) != layers:
        raise _unread(FIELD, len(entries), f"entries for {layers} blocks (num_hidden_layers)")
    return list(enumerate(entries))


def _half(entry: _Json, name: str, index: int) -> _Json:
    """One half of a block, every field of which is understood."""
    half = entry.get(name)
    others = {key: value for key, value in entry.items() if key not in ("attention", "ffn")}
    _check_known(others, f"{FIELD}[{index}]", frozenset())
    if not isinstance(half, dict):
        raise _unread(f"{FIELD}[{index}].{name}", half, "must be an object")
    _check_known(half, f"{FIELD}[{index}].{name}", _SIZES | _NO_EFFECT)
    return half


def _is_gone(half: _Json) -> bool:
    return half.get("no_op") is True


def _check_known(document: _Json, field: str, known: frozenset[str]) -> None:
    for key, value in document.items():
        if key not in known and value not in (None, False, [], {}):
            raise InvalidContainer(
                f"{field}.{key}",
                value,
                "makes the block another than the stock one, which is all that is built here",
                fix=f"search without {key}, or give the model it was made from",
            )


def _claim(config: _Json, attention: _Json, ffn: _Json, index: int) -> Claim:
    heads = config.get("num_attention_heads")
    if type(heads) is not int or heads < 1:
        raise _unread("config.json.num_attention_heads", heads, "must be a positive whole number")
    kv_heads = _kv_heads(attention, heads, f"{FIELD}[{index}].attention")
    width = _ffn(ffn, config.get("hidden_size"), f"{FIELD}[{index}].ffn")
    return Claim(heads if kv_heads else 0, kv_heads, width)


def _kv_heads(attention: _Json, heads: int, field: str) -> int:
    if _is_gone(attention):
        return 0
    kv_heads, group = attention.get("num_key_value_heads"), attention.get("n_heads_in_group")
    if type(kv_heads) is int and kv_heads > 0:
        return kv_heads
    if type(group) is int and group > 0 and heads % group == 0:
        return heads // group
    problem = f"gives no whole number of key/value heads for {heads} query heads"
    raise _unread(field, dict(attention), problem)


def _ffn(ffn: _Json, hidden: Any, field: str) -> int:
    if _is_gone(ffn):
        return 0
    width, factor = ffn.get("intermediate_size"), ffn.get("ffn_mult")
    if type(width) is int and width > 0:
        return width
    if isinstance(factor, int | float) and 0 < factor < 1000 and type(hidden) is int:
        return -(-int(2 * factor * hidden / 3) // ROUNDING) * ROUNDING
    raise _unread(field, dict(ffn), "gives no width (intermediate_size or ffn_mult)")


def _stock(config: _Json, claims: Mapping[int, Claim], dropped: frozenset[int]) -> dict[str, Any]:
    """The config of the model its blocks were cut from, as far as it is said."""
    stock = without_blocks(config, dropped)
    names = config.get("architectures")
    if names == ["DeciLMForCausalLM"]:
        stock |= {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
    elif names == ["AnyModel"]:
        stock["architectures"] = [config.get("base_architecture")]
    else:  # a stock class: its auto_map is refused as everybody's is
        return _filled({**stock, KEY: None}, list(claims.values()))
    left = {key: value for key, value in stock.items() if key not in _OF_OTHERS}
    return _filled(left, list(claims.values()))


def _filled(stock: dict[str, Any], claims: Sequence[Claim]) -> dict[str, Any]:
    """Give the sizes that such a config leaves to its blocks those of the largest."""
    for key, sizes in (
        ("num_key_value_heads", [claim.kv_heads or 0 for claim in claims]),
        ("intermediate_size", [claim.ffn or 0 for claim in claims]),
    ):
        if stock.get(key) is None and any(sizes):
            stock[key] = max(sizes)
    return stock


def _unread(field: str, value: Any, problem: str) -> InvalidContainer:
    return InvalidContainer(
        field, value, problem, fix="restore the config that was saved with these weights"
    )
