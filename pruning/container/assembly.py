"""Building a transformers model whose blocks differ, without allocating its weights.

Llama-family code ignores per-layer configs, so each block is built by itself from a copy of the
config that carries its own sizes.
"""

import copy
import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import nn
from transformers import (
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    LlamaForCausalLM,
    MistralForCausalLM,
    Olmo2ForCausalLM,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2ForCausalLM,
    Qwen3ForCausalLM,
)

from pruning.absent import AbsentAttention, AbsentMlp
from pruning.container.architecture import FAMILIES, Architecture
from pruning.container.structure import ATTENTION, MLP, BlockStructure, Factors, Structure
from rankspace.errors import InvalidContainer
from tuning.factored.linear import FactoredLinear

CLASSES: Mapping[str, type[PreTrainedModel]] = MappingProxyType(
    {
        "LlamaForCausalLM": LlamaForCausalLM,
        "MistralForCausalLM": MistralForCausalLM,
        "Qwen2ForCausalLM": Qwen2ForCausalLM,
        "Qwen3ForCausalLM": Qwen3ForCausalLM,
        "Gemma2ForCausalLM": Gemma2ForCausalLM,
        "Gemma3ForCausalLM": Gemma3ForCausalLM,
        "Olmo2ForCausalLM": Olmo2ForCausalLM,
    }
)
"""Same keys as ``pruning.container.architecture.FAMILIES``."""

LEGACY = frozenset(
    {
        "rope_theta",
        "rope_scaling",
        "partial_rotary_factor",
        "torch_dtype",
        "rope_local_base_freq",
        "sliding_window_pattern",
    }
)
"""Keys of older configs that transformers still translates."""

ATTENTION_KERNEL = "sdpa"
CAPPED_KERNEL = "eager"
"""For scores that are capped (Gemma 2): sdpa leaves the cap out, and says nothing."""


def build_config(architecture: Architecture) -> PreTrainedConfig:
    """Make the stock config of the family; keys it does not declare have no effect.

    Raises:
        InvalidContainer: transformers refuses a value.
    """
    kind = CLASSES[architecture.name].config_class
    assert kind is not None
    known = {item.name for item in dataclasses.fields(kind)} | LEGACY
    values = {key: value for key, value in architecture.config.items() if key in known}
    try:
        config: PreTrainedConfig = kind(**{**values, "head_dim": architecture.dense.head_dim})
    except Exception as error:  # noqa: BLE001 - each field of a config has its own way to fail
        raise _refused(architecture, error) from None
    return config


def build_on_meta(architecture: Architecture, structure: Structure) -> PreTrainedModel:
    """Build the model with every parameter on the meta device."""
    config = build_config(architecture)
    is_capped = getattr(config, "attn_logit_softcapping", None) is not None
    config._attn_implementation = CAPPED_KERNEL if is_capped else ATTENTION_KERNEL
    with torch.device("meta"):
        try:
            model = CLASSES[architecture.name](config)
        except Exception as error:  # noqa: BLE001 - likewise
            raise _refused(architecture, error) from None
        layers = blocks_of(model)
        for index, block in enumerate(structure.blocks):
            layers[index] = _build_block(type(layers[index]), model.config, block, index)
            remove_absent(model, index, block)
    model.train(False)
    model.requires_grad_(False)
    return model


def blocks_of(model: PreTrainedModel) -> nn.ModuleList:
    """Return the decoder blocks, first to last."""
    layers: nn.ModuleList = decoder_of(model).layers
    return layers


def recreate_buffers(model: PreTrainedModel, device: torch.device | str) -> None:
    """Make what no file holds: rotary tables, and the factor of Gemma's embedding.

    They stay float32 in any model; the factor is rounded where it is applied.
    """
    decoder = decoder_of(model)
    factor = getattr(decoder.embed_tokens, "scalar_embed_scale", None)
    if factor is not None:
        decoder.embed_tokens.embed_scale = nn.Buffer(
            torch.tensor(factor, device=device), persistent=False
        )
    rotary = type(decoder.rotary_emb)(config=model.config)
    decoder.rotary_emb = rotary.to(device).train(model.training)
    left = [name for name, buffer in model.named_buffers() if buffer.is_meta]
    assert not left, f"buffers without a value: {left}"


def matrix_of(block: nn.Module, kind: str) -> nn.Linear:
    """Return the matrix ``kind`` (``q_proj``, …) of a decoder block."""
    parent = block.self_attn if kind in ATTENTION else block.mlp
    matrix = getattr(parent, kind)
    assert isinstance(matrix, nn.Linear)
    return matrix


def replace_matrix(block: nn.Module, kind: str, matrix: nn.Linear) -> None:
    setattr(block.self_attn if kind in ATTENTION else block.mlp, kind, matrix)


def block_config(config: PreTrainedConfig, block: BlockStructure) -> PreTrainedConfig:
    """Copy ``config`` with the sizes of one block; those of a half it lacks stay the config's."""
    own = copy.deepcopy(config)
    sizes = {
        "num_attention_heads": block.heads,
        "num_key_value_heads": block.kv_heads,
        "head_dim": block.head_dim,
        "intermediate_size": block.ffn,
    }
    for name, value in sizes.items():
        if value:
            setattr(own, name, value)
    # set_attn_implementation on the model does not reach the copies, so each carries it.
    own._attn_implementation = config._attn_implementation
    return own


def read_structure(model: PreTrainedModel, original: tuple[int, ...]) -> Structure:
    """Read the structure off a model in memory; ``original``: each block's dense index."""
    blocks = zip(blocks_of(model), original, strict=True)
    return Structure(tuple(read_block(block, index) for block, index in blocks))


def read_block(block: nn.Module, original_index: int) -> BlockStructure:
    """Read the structure of one block in memory."""
    head_dim = int(getattr(block.self_attn, "head_dim"))  # noqa: B009
    kinds = kinds_of(block)
    matrices = {kind: matrix_of(block, kind) for kind in kinds}
    rows = {kind: matrix.out_features for kind, matrix in matrices.items()}
    return BlockStructure(
        heads=rows.get("q_proj", 0) // head_dim,
        kv_heads=rows.get("k_proj", 0) // head_dim,
        head_dim=head_dim,
        ffn=rows.get("gate_proj", 0),
        biases=tuple(kind for kind, matrix in matrices.items() if matrix.bias is not None),
        original_index=original_index,
        factors=tuple(
            Factors(kind, matrix.rank)
            for kind, matrix in matrices.items()
            if isinstance(matrix, FactoredLinear)
        ),
    )


def kinds_of(block: nn.Module) -> tuple[str, ...]:
    """Return the kinds of the matrices that a block in memory has."""
    attention = () if isinstance(block.self_attn, AbsentAttention) else ATTENTION
    return attention + (() if isinstance(block.mlp, AbsentMlp) else MLP)


def remove_absent(model: PreTrainedModel, index: int, block: BlockStructure) -> None:
    """Take the half that ``block`` lacks out of block ``index``, in place, with its norms.

    The residual stream passes: to the bit what a half of zero output projection computes.
    """
    layer = blocks_of(model)[index]
    if not block.heads:
        layer.self_attn = AbsentAttention(index, block.head_dim)
    if not block.ffn:
        layer.mlp = AbsentMlp()
    for norm in FAMILIES[type(model).__name__].removed_norms(block):
        setattr(layer, norm, nn.Identity())


def _build_block(
    kind: Any, config: PreTrainedConfig, block: BlockStructure, index: int
) -> nn.Module:
    layer: nn.Module = kind(block_config(config, block), index)
    for name in block.modules:
        matrix = matrix_of(layer, name)
        declared = name in block.biases
        if declared != (matrix.bias is not None):
            # FLAP-like pruning adds biases to o_proj and down_proj alone; no config says that.
            bare = nn.Linear(matrix.in_features, matrix.out_features, bias=declared)
            replace_matrix(layer, name, bare)
    for one in block.factors:
        matrix = matrix_of(layer, one.kind)
        left = torch.empty(matrix.out_features, one.rank)
        right = torch.empty(one.rank, matrix.in_features)
        replace_matrix(layer, one.kind, FactoredLinear(left, right, matrix.bias))
    return layer


def decoder_of(model: PreTrainedModel) -> Any:
    """Return the model without its output projection."""
    return model.model


def _refused(architecture: Architecture, error: Exception) -> InvalidContainer:
    return InvalidContainer(
        "config.json",
        architecture.name,
        f"transformers refuses it: {' '.join(str(error).split())}",
        fix="restore the model's config",
    )
