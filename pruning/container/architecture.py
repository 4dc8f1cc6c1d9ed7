"""Architecture: the part of ``config.json`` that decides shapes, of an allowed model family."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pruning.container.structure import ATTENTION, MLP, BlockStructure
from rankspace.errors import InvalidContainer


@dataclass(frozen=True, slots=True)
class Family:
    """What the stock transformers class of a family builds.

    Attributes:
        model_type: ``model_type`` its config carries.
        attention_biases: Attention matrices with a bias, whatever the config says.
        optional_attention_bias: Whether ``attention_bias: true`` adds one to all four.
        optional_mlp_bias: Whether ``mlp_bias: true`` adds one to the three of the MLP.
        head_norms: Whether queries and keys are normalised per head.
        head_dim: Default width of a head; None means hidden size divided by heads.
    """

    model_type: str
    attention_biases: tuple[str, ...] = ()
    optional_attention_bias: bool = False
    optional_mlp_bias: bool = False
    head_norms: bool = False
    head_dim: int | None = None


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "LlamaForCausalLM": Family("llama", (), True, True),
        "MistralForCausalLM": Family("mistral"),
        "Qwen2ForCausalLM": Family("qwen2", ("q_proj", "k_proj", "v_proj")),
        "Qwen3ForCausalLM": Family("qwen3", (), True, head_norms=True, head_dim=128),
    }
)
"""Allowed architectures; all others need code we do not know to prune or to run safely."""

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "auto_map": "asks for code from the model's author, which is never run",
        "quantization_config": "declares quantised weights, which cannot be pruned or trained",
        "per_layer_config": "is ignored by these families, which would build the wrong model",
    }
)


@dataclass(frozen=True, slots=True)
class Architecture:
    """A checked ``config.json``.

    Attributes:
        name: Transformers class name, a key of ``FAMILIES``.
        hidden: Width of the residual stream.
        vocabulary: Rows of the embedding.
        tied: Whether the output projection is the embedding.
        dense: The block every layer of the dense model has; ``original_index`` 0.
        layers: Number of decoder blocks.
        config: The document itself, without private keys.
    """

    name: str
    hidden: int
    vocabulary: int
    tied: bool
    dense: BlockStructure
    layers: int
    config: Mapping[str, Any]

    @property
    def family(self) -> Family:
        return FAMILIES[self.name]


def parse_architecture(config: Mapping[str, Any]) -> Architecture:
    """Check ``config`` against the allow-list and read the sizes from it.

    Raises:
        InvalidContainer: Naming the field of ``config.json``, its value and the fix.
    """
    name = _class_name(config)
    _check_refused(config)
    public = {key: value for key, value in config.items() if not key.startswith("_")}
    return Architecture(
        name=name,
        hidden=_size(config, "hidden_size"),
        vocabulary=_size(config, "vocab_size"),
        tied=_flag(config, "tie_word_embeddings"),
        dense=_dense_block(config, FAMILIES[name]),
        layers=_size(config, "num_hidden_layers"),
        config=public,
    )


def _class_name(config: Mapping[str, Any]) -> str:
    names = config.get("architectures")
    allowed = sorted(FAMILIES)
    if not isinstance(names, list) or len(names) != 1 or names[0] not in allowed:
        raise _invalid("architectures", names, "is not supported", f"use one of {allowed}")
    name = str(names[0])
    expected = FAMILIES[name].model_type
    if config.get("model_type") != expected:
        found = config.get("model_type")
        raise _invalid("model_type", found, f"does not belong to {name}", f"write {expected!r}")
    return name


def _check_refused(config: Mapping[str, Any]) -> None:
    for key, reason in REFUSED.items():
        if config.get(key):
            fix = f"use the stock model, or remove {key} if its files are the stock ones"
            raise _invalid(key, config[key], reason, fix)


def _dense_block(config: Mapping[str, Any], family: Family) -> BlockStructure:
    heads = _size(config, "num_attention_heads")
    default = family.head_dim or _size(config, "hidden_size") // heads
    try:
        return BlockStructure(
            heads=heads,
            kv_heads=_size(config, "num_key_value_heads", heads),
            head_dim=_size(config, "head_dim", default),
            ffn=_size(config, "intermediate_size"),
            biases=_biases(config, family),
            original_index=0,
        )
    except InvalidContainer as error:
        if error.field.startswith("config.json"):
            raise
        raise error.under("config.json") from None


def _biases(config: Mapping[str, Any], family: Family) -> tuple[str, ...]:
    attention = family.attention_biases
    if family.optional_attention_bias and _flag(config, "attention_bias"):
        attention = ATTENTION
    with_mlp = family.optional_mlp_bias and _flag(config, "mlp_bias")
    return attention + (MLP if with_mlp else ())


def _size(config: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = config.get(key)
    if value is None and default is not None:
        return default
    if type(value) is not int or not 0 < value < 2**31:
        raise _invalid(key, value, "must be a positive whole number", "restore the model's config")
    return value


def _flag(config: Mapping[str, Any], key: str) -> bool:
    value = config.get(key, False)
    if not isinstance(value, bool):
        raise _invalid(key, value, "must be true or false", "restore the model's config")
    return value


def _invalid(key: str, value: Any, problem: str, fix: str) -> InvalidContainer:
    return InvalidContainer(f"config.json.{key}", value, problem, fix=fix)
