"""Phi-3 (``Phi3ForCausalLM``): a Mistral whose matrices are fused, and whose config says it so.

Compared line by line with transformers 5 (``models/phi3``, ``models/mistral``): the blocks compute
the same once ``qkv_proj`` and ``gate_up_proj`` are split, sliding window and cache included.
Dropout of the residual stream plays no part outside of training, and none is used here.
What Mistral has no words for is refused: heads that are turned in part, and LongRoPE, at whose
switch Phi-3 computes its cache anew (``prepare_inputs_for_generation``) and Mistral does not.
"""

import math
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pruning.container.architecture import MOST_POSITIONS
from pruning.container.translation import Translation
from rankspace.errors import InvalidContainer

NAME = "Phi3ForCausalLM"
STOCK, STOCK_TYPE = "MistralForCausalLM", "mistral"

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "eos_token_id": 32000,
        "hidden_act": "silu",
        "initializer_range": 0.02,
        "max_position_embeddings": 4096,
        "original_max_position_embeddings": 4096,
        "pad_token_id": 32000,
        "rms_norm_eps": 1e-5,
        "sliding_window": None,
        "tie_word_embeddings": False,
        "use_cache": True,
    }
)
"""What Phi-3 takes where its config says nothing; Mistral would take something else of some."""

THETA = 10_000.0
LONGROPE = frozenset({"longrope", "su", "yarn"})
"""Names of LongRoPE: Phi-3's config takes the older two for the first."""

_CODE: Mapping[str, str] = MappingProxyType(
    {
        "AutoConfig": "configuration_phi3.Phi3Config",
        "AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM",
    }
)
"""The ``auto_map`` of the published models: code that became transformers' own, which is taken."""

_OF_PHI3 = frozenset(
    {
        "attention_bias",
        "embd_pdrop",
        "original_max_position_embeddings",
        "partial_rotary_factor",
        "resid_pdrop",
        "rope_scaling",
        "rope_theta",
    }
)
"""Fields that Phi-3 ignores, or that have their place elsewhere in a config of Mistral."""

_Json = Mapping[str, Any]


def is_phi3(config: _Json) -> bool:
    return config.get("architectures") == [NAME]


def translate(config: _Json) -> Translation:
    """Say how to read a Phi-3 model as a Mistral.

    Raises:
        InvalidContainer: Naming the field that no Mistral has words for.
    """
    if config.get("model_type") != "phi3":
        found = config.get("model_type")
        raise _invalid("model_type", found, f"does not belong to {NAME}", "write 'phi3'")
    stated = {**DEFAULTS, **config}
    left = {key: value for key, value in stated.items() if key not in _OF_PHI3}
    if _is_published(config.get("auto_map")):
        del left["auto_map"]
    if left.get("num_key_value_heads") is None:
        left["num_key_value_heads"] = config.get("num_attention_heads")
    stock = {
        **left,
        "architectures": [STOCK],
        "model_type": STOCK_TYPE,
        "rope_parameters": _rotary(stated),
    }
    return Translation(config=stock, split_from=NAME)


def _is_published(auto_map: Any) -> bool:
    """Whether it asks for the code of the published models alone, in whatever repository."""
    return isinstance(auto_map, dict) and all(
        isinstance(value, str) and _CODE.get(key) == value.rpartition("--")[2]
        for key, value in auto_map.items()
    )


def _rotary(config: _Json) -> dict[str, Any]:
    """Return ``rope_parameters`` of a Mistral that turns its heads as this Phi-3 does."""
    place = "rope_scaling" if config.get("rope_scaling") else "rope_parameters"
    found = config.get(place) or {}
    if not isinstance(found, dict):
        raise _invalid(place, found, "must be an object or null", "restore the model's config")
    _check_partial(config, place, found)
    theta = found.get("rope_theta", config.get("rope_theta", THETA))
    kind = found.get("rope_type", found.get("type", "default"))
    if kind == "default":
        return {"rope_type": kind, "rope_theta": theta}
    if not isinstance(kind, str) or kind not in LONGROPE:
        fix = "restore the model's config"
        raise _invalid(f"{place}.rope_type", kind, "is none of default, longrope", fix)
    return {"rope_theta": theta, **_longrope(config, place, found)}


def _check_partial(config: _Json, place: str, found: _Json) -> None:
    key = "partial_rotary_factor"
    field = f"{place}.{key}" if key in found else key
    factor = found.get(key, config.get(key, 1.0))
    if factor != 1:
        raise _invalid(
            field,
            factor,
            "turns only a part of each head, which the stock families here cannot",
            "use a model whose heads are turned whole (factor 1), as Phi-3-mini-4k-instruct",
        )


def _longrope(config: _Json, place: str, found: _Json) -> dict[str, Any]:
    """LongRoPE of a model that no text it is made for takes to the long factors."""
    most = _count(config, "max_position_embeddings", least=1)
    switch = _count(config, "original_max_position_embeddings", least=2)
    attention = _attention_factor(found, place, most, switch)
    if most > switch:
        raise _invalid(
            f"{place}.rope_type",
            found.get("rope_type", found.get("type")),
            f"changes the rotary embedding after {switch:,} tokens of up to {most:,}; Phi-3 then "
            "computes its cache anew, which the stock families here do not: they would generate "
            "other text",
            f"for texts of up to {switch:,} tokens, write max_position_embeddings: {switch} and "
            f"{place}.attention_factor: {attention!r} into config.json: exact up to there",
        )
    return {
        "rope_type": "longrope",
        "factor": 1.0,  # of no effect beside attention_factor, but transformers warns without it
        "attention_factor": attention,
        "original_max_position_embeddings": switch,
        "short_factor": _factors(config, place, found, "short_factor"),
        "long_factor": _factors(config, place, found, "long_factor"),
    }


def _attention_factor(found: _Json, place: str, most: int, switch: int) -> float:
    """What cosines and sines are multiplied with (LongRoPE, arXiv 2402.13753, as transformers)."""
    stated, factor = found.get("attention_factor"), found.get("factor")
    for key, value in (("attention_factor", stated), ("factor", factor)):
        if value is not None and not _is_number(value):
            raise _invalid(f"{place}.{key}", value, "must be a number", "restore the config")
    if stated is not None:
        return float(stated)
    stretch = float(most / switch if factor is None else factor)
    return math.sqrt(1 + math.log(stretch) / math.log(switch)) if stretch > 1 else 1.0


def _factors(config: _Json, place: str, found: _Json, key: str) -> list[float]:
    hidden, heads = (_count(config, name, 1) for name in ("hidden_size", "num_attention_heads"))
    needed = hidden // heads // 2
    factors: Any = found.get(key)
    is_list = isinstance(factors, list) and len(factors) == needed
    if is_list and all(map(_is_number, factors)):
        return list(factors)
    problem = f"must be {needed} numbers, one for every two channels of a head"
    raise _invalid(f"{place}.{key}", factors, problem, "restore the model's config")


def _is_number(value: Any) -> bool:
    """Whether it is one that a float holds: JSON has longer ones, and those that are none."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _count(config: _Json, key: str, least: int) -> int:
    value = config.get(key)
    if type(value) is not int or not least <= value <= MOST_POSITIONS:
        problem = f"must be a whole number of at least {least} and at most {MOST_POSITIONS:,}"
        raise _invalid(key, value, problem, "restore the model's config")
    return value


def _invalid(key: str, value: Any, problem: str, fix: str) -> InvalidContainer:
    return InvalidContainer(f"config.json.{key}", value, problem, fix=fix)
