"""Architecture: the part of ``config.json`` that decides shapes, of an allowed model family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeGuard

from pruning.container.structure import ATTENTION, MLP, BlockStructure
from rankspace.errors import InvalidContainer, InvalidInput

_AROUND_ATTENTION = ("input_layernorm", "post_attention_layernorm")
_AROUND_MLP = ("pre_feedforward_layernorm", "post_feedforward_layernorm")


@dataclass(frozen=True, slots=True)
class Family:
    """What the stock transformers class of a family builds.

    Attributes:
        model_type: ``model_type`` its config carries.
        attention_biases: Attention matrices with a bias, whatever the config says.
        optional_attention_bias: Whether ``attention_bias: true`` adds one to all four.
        optional_mlp_bias: Whether ``mlp_bias: true`` adds one to the three of the MLP.
        head_norms: Whether queries and keys are normalised per head.
        joint_norms: Whether they are normalised over all heads of a block together.
        head_dim: Default width of a head; None means hidden size divided by heads.
        attention_norms: Names of a block's norms of the residual stream that belong to attention:
            before it as in Llama, after it, or both. Without attention a block has none of them.
        mlp_norms: Those of the MLP; the one before it is called after what it follows.
        tied: Whether the output projection is the embedding where the config does not say.
        alternates: Whether blocks differ by their place (sliding windows) where it does not say.
        caps: Whether attention's scores, and logits, are capped where it does not say.
    """

    model_type: str
    attention_biases: tuple[str, ...] = ()
    optional_attention_bias: bool = False
    optional_mlp_bias: bool = False
    head_norms: bool = False
    joint_norms: bool = False
    head_dim: int | None = None
    attention_norms: tuple[str, ...] = ("input_layernorm",)
    mlp_norms: tuple[str, ...] = ("post_attention_layernorm",)
    tied: bool = False
    alternates: bool = False
    caps: bool = False

    @property
    def norms(self) -> tuple[str, ...]:
        """All norms of the residual stream in a whole block."""
        return self.attention_norms + self.mlp_norms

    def removed_norms(self, block: BlockStructure) -> tuple[str, ...]:
        """Norms that ``block`` lacks with the half of it that was removed."""
        return {None: (), "attention": self.attention_norms, "MLP": self.mlp_norms}[block.lacks]


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "LlamaForCausalLM": Family("llama", (), True, True),
        "MistralForCausalLM": Family("mistral"),
        "Qwen2ForCausalLM": Family("qwen2", ("q_proj", "k_proj", "v_proj")),
        "Qwen3ForCausalLM": Family("qwen3", (), True, head_norms=True, head_dim=128),
        "Gemma2ForCausalLM": Family(
            "gemma2",
            (),
            True,
            head_dim=256,
            attention_norms=_AROUND_ATTENTION,
            mlp_norms=_AROUND_MLP,
            tied=True,
            alternates=True,
            caps=True,
        ),
        "Gemma3ForCausalLM": Family(
            "gemma3_text",
            optional_attention_bias=True,
            head_norms=True,
            head_dim=256,
            attention_norms=_AROUND_ATTENTION,
            mlp_norms=_AROUND_MLP,
            tied=True,
            alternates=True,
        ),
        "Olmo2ForCausalLM": Family(
            "olmo2",
            optional_attention_bias=True,
            joint_norms=True,
            attention_norms=("post_attention_layernorm",),
            mlp_norms=("post_feedforward_layernorm",),
        ),
    }
)
"""Allowed architectures; all others need code we do not know to prune or to run safely."""

_OTHER_PHI = "use a Phi3ForCausalLM of text, as Phi-3-mini-4k-instruct"

OTHERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "Phi3ForCausalLM": (
            "keeps query, key and value in one matrix and gate and up in another (qkv_proj, "
            "gate_up_proj): neither a head nor a rank of its own can be given to one of them",
            "run rankadaptor adopt DIRECTORY CONTAINER, which splits them",
        ),
        "Phi3SmallForCausalLM": (
            "has blocks of its author's own, with sparse attention, that no stock class builds",
            _OTHER_PHI,
        ),
        "PhiMoEForCausalLM": ("has experts, which are not pruned or trained here", _OTHER_PHI),
        "PhimoeForCausalLM": ("has experts, which are not pruned or trained here", _OTHER_PHI),
        "Phi3VForCausalLM": ("sees images, too", _OTHER_PHI),
        "Phi4MMForCausalLM": ("sees images and hears, too", _OTHER_PHI),
        "Phi4MultimodalForCausalLM": ("sees images and hears, too", _OTHER_PHI),
        "PhiForCausalLM": (
            "has attention and MLP side by side, and no gate_proj: no block here is like that",
            _OTHER_PHI,
        ),
        "NemotronForCausalLM": (
            "has no gate_proj, and norms with a bias: no block here is like that",
            "use a model of Llama-like blocks, as Llama-3.1-Minitron",
        ),
        "NemotronHForCausalLM": (
            "has blocks of Mamba, which have no heads to give a rank to",
            "use a model of Llama-like blocks, as Llama-3.1-Minitron",
        ),
        "Gemma3ForConditionalGeneration": (
            "sees images, too",
            "save its language model alone, as Gemma3ForCausalLM with its text_config",
        ),
    }
)
"""What people ask for that cannot be supported: the reason, and the way round it."""

DTYPES = ("float64", "float32", "float16", "bfloat16")
"""Element types that weights may have, as ``config.json`` names them."""

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "auto_map": "asks for code from the model's author, which is never run",
        "quantization_config": "declares quantised weights, which cannot be pruned or trained",
        "use_bidirectional_attention": "lets tokens see those that follow them: no language model",
        "per_layer_config": "is ignored by these families, which would build the wrong model",
    }
)

_ONE_FOR_ALL = "write that of the dense model: rankadaptor adopt reads the blocks' off the weights"


MOST_POSITIONS = 2**31 - 1


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

    @property
    def is_capped(self) -> bool:
        """Whether attention's scores are capped, which no fused kernel does."""
        return self._caps("attn_logit_softcapping")

    @property
    def caps_logits(self) -> bool:
        """Whether the logits are."""
        return self._caps("final_logit_softcapping")

    def _caps(self, key: str) -> bool:
        return self.config.get(key, self.family.caps or None) is not None


def parse_architecture(config: Mapping[str, Any]) -> Architecture:
    """Check ``config`` against the allow-list and read the sizes from it.

    Raises:
        InvalidContainer: Naming the field of ``config.json``, its value and the fix.
    """
    name = _class_name(config)
    _check_refused(config)
    _check_dtype(config)
    public = {key: value for key, value in config.items() if not key.startswith("_")}
    return Architecture(
        name=name,
        hidden=_size(config, "hidden_size"),
        vocabulary=_size(config, "vocab_size"),
        tied=_flag(config, "tie_word_embeddings", FAMILIES[name].tied),
        dense=_dense_block(config, FAMILIES[name]),
        layers=_size(config, "num_hidden_layers"),
        config=public,
    )


def check_lists(architecture: Architecture) -> None:
    """Check that lists with an entry per layer have one for each; tools that drop blocks forget it.

    Raises:
        InvalidContainer: Naming the list.
    """
    layers = architecture.layers
    for key, value in architecture.config.items():
        is_per_layer = key.startswith("layer_") or key.endswith("_layer_types")
        if is_per_layer and isinstance(value, list) and len(value) != layers:
            problem = f"has {len(value)} entries for {layers} layers (num_hidden_layers)"
            raise _invalid(key, value, problem, "take out those of the layers that were dropped")


def check_places(architecture: Architecture, original: Sequence[int]) -> None:
    """Check that blocks which differ by their place still know it when others were dropped.

    Args:
        architecture: Of the model.
        original: Index of each block in the dense model.

    Raises:
        InvalidContainer: Nothing says which of them have a sliding window.
    """
    slides = architecture.family.alternates or architecture.config.get("use_sliding_window") is True
    was_dropped = list(original) != list(range(len(original)))
    if slides and was_dropped and not architecture.config.get("layer_types"):
        raise _invalid(
            "layer_types",
            None,
            "is missing: blocks were dropped, and which of the others have a sliding window goes "
            "by their place",
            "list the dense model's layer_types of the blocks that are left",
        )


def positions(config: Mapping[str, Any]) -> int | None:
    """How many tokens a model is made for, stretched rotary embeddings included; None if unsaid."""
    most = config.get("max_position_embeddings")
    if not _is_count(most):
        return None
    rotary = config.get("rope_scaling") or config.get("rope_parameters")
    # Gemma 3's 131072 is said after stretching, beside the factor that only some layers have.
    if not isinstance(rotary, Mapping) or config.get("model_type") == "gemma3_text":
        return most
    factor = rotary.get("factor")
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor < 1e6:
        return most
    before = rotary.get("original_max_position_embeddings")
    stretched = int(factor * (before if _is_count(before) else most))
    return max(most, min(stretched, MOST_POSITIONS))


def check_positions(field: str, tokens: int, config: Mapping[str, Any]) -> None:
    """Check that a model is made for sequences of so many tokens.

    Raises:
        InvalidInput: It is not; with both numbers.
    """
    most = positions(config)
    if most is not None and tokens > most:
        problem = f"the model is made for {most:,} tokens (max_position_embeddings)"
        raise InvalidInput(field, tokens, problem, fix=f"use {most:,} or less")


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and 0 < value <= MOST_POSITIONS


def _class_name(config: Mapping[str, Any]) -> str:
    names = config.get("architectures")
    allowed = sorted(FAMILIES)
    if not isinstance(names, list) or len(names) != 1 or names[0] not in allowed:
        _refuse_others(names)
        fix = _named_otherwise(config, names) or f"use one of {allowed}"
        raise _invalid("architectures", names, "is not supported", fix)
    name = str(names[0])
    expected = FAMILIES[name].model_type
    if config.get("model_type") != expected:
        found = config.get("model_type")
        raise _invalid("model_type", found, f"does not belong to {name}", f"write {expected!r}")
    return name


def _refuse_others(names: Any) -> None:
    for name in names if isinstance(names, list) else ():
        if isinstance(name, str) and name in OTHERS:
            problem, fix = OTHERS[name]
            raise _invalid("architectures", names, problem, fix)


def _named_otherwise(config: Mapping[str, Any], names: Any) -> str | None:
    """What to write for a supported class under an old name, its decoder, or nothing at all."""
    name = names[0] if isinstance(names, list) and len(names) == 1 else None
    if config.get("block_configs"):
        return "run rankadaptor adopt DIRECTORY CONTAINER, which reads block_configs"
    if config.get("model_type") == "phi3" and name in (None, "Phi3Model"):
        return "write ['Phi3ForCausalLM'], if that is what it is, and run rankadaptor adopt"
    for known, family in FAMILIES.items():
        decoder = known.replace("ForCausalLM", "Model")
        is_old = isinstance(name, str) and name.casefold() == known.casefold()
        if is_old or (config.get("model_type") == family.model_type and name in (None, decoder)):
            return f"write [{known!r}], if that is what it is"
    return None


def _check_refused(config: Mapping[str, Any]) -> None:
    for key, reason in REFUSED.items():
        if config.get(key):
            fix = f"use the stock model, or remove {key} if its files are the stock ones"
            raise _invalid(key, config[key], reason, fix)


def _check_dtype(config: Mapping[str, Any]) -> None:
    for key in ("dtype", "torch_dtype"):
        named = config.get(key)
        if named is not None and str(named).removeprefix("torch.") not in DTYPES:
            raise _invalid(key, named, "is not a dtype of weights", f"use one of {list(DTYPES)}")


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
        fix = _ONE_FOR_ALL if isinstance(value, list) else "restore the model's config"
        raise _invalid(key, value, "must be a positive whole number", fix)
    return value


def _flag(config: Mapping[str, Any], key: str, default: bool = False) -> bool:
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise _invalid(key, value, "must be true or false", "restore the model's config")
    return value


def _invalid(key: str, value: Any, problem: str, fix: str) -> InvalidContainer:
    return InvalidContainer(f"config.json.{key}", value, problem, fix=fix)
