"""Which architecture of llama.cpp a model is, and what its tensors are called there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from transformers import PreTrainedModel

from pruning.container.architecture import FAMILIES, positions
from pruning.container.assembly import blocks_of, kinds_of, matrix_of, read_block
from pruning.container.structure import BlockStructure, Structure
from rankspace.errors import InvalidInput

UNIFORM, PER_BLOCK = "llama", "deci"
"""Architectures: one size for all blocks; a size of its own for each."""

MATRICES: Mapping[str, str] = MappingProxyType(
    {
        "q_proj": "attn_q",
        "k_proj": "attn_k",
        "v_proj": "attn_v",
        "o_proj": "attn_output",
        "gate_proj": "ffn_gate",
        "up_proj": "ffn_up",
        "down_proj": "ffn_down",
    }
)

NORMS: Mapping[str, str] = MappingProxyType(
    {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
)

STATIC_ROTARY = frozenset({"default", "linear", "llama3"})
"""Rotary embeddings whose frequencies are the same whatever the length of a text."""

_WINDOW = (
    "llama.cpp has no sliding window in this architecture: the context ends at its {context:,} "
    "tokens, not at {made_for:,}"
)
_FIX = "use --format merged or container"


@dataclass(frozen=True, slots=True)
class Layout:
    """What GGUF says of a model's shape.

    Attributes:
        architecture: ``UNIFORM`` or ``PER_BLOCK``.
        heads: Query heads by block.
        kv_heads: Key/value heads by block.
        ffn: Width of the feed-forward layer by block.
        head_dim: Width of one head.
        hidden: Width of the residual stream.
        vocabulary: Rows of the embedding.
        context: Tokens a text may have.
        rms_epsilon: Of the norms.
        rope_base: Theta of the rotary embedding.
        differs: Where llama.cpp computes something else; empty if nowhere.
    """

    architecture: str
    heads: tuple[int, ...]
    kv_heads: tuple[int, ...]
    ffn: tuple[int, ...]
    head_dim: int
    hidden: int
    vocabulary: int
    context: int
    rms_epsilon: float
    rope_base: float
    differs: str


def layout_of(model: PreTrainedModel, structure: Structure) -> Layout:
    """Return the layout of ``model``.

    A sliding window, which llama.cpp knows in other architectures only, ends the context.

    Raises:
        InvalidInput: llama.cpp would compute something else: norms of heads, another activation,
            a rotary embedding that depends on the length, a block without MLP.
    """
    config: Any = model.config
    _check(model)
    check_halves(structure)
    blocks = structure.blocks
    made_for = positions(config.to_dict()) or config.max_position_embeddings
    context = min(made_for, _window(config) or made_for)
    return Layout(
        architecture=UNIFORM if _is_plain(blocks) else PER_BLOCK,
        heads=tuple(block.heads for block in blocks),
        kv_heads=tuple(block.kv_heads for block in blocks),
        ffn=tuple(block.ffn for block in blocks),
        head_dim=blocks[0].head_dim,
        hidden=config.hidden_size,
        vocabulary=config.vocab_size,
        context=context,
        rms_epsilon=config.rms_norm_eps,
        rope_base=config.rope_parameters["rope_theta"],
        differs="" if context == made_for else _WINDOW.format(context=context, made_for=made_for),
    )


def check_halves(structure: Structure) -> None:
    """Check that llama.cpp leaves out of each block what the model does; tried with version 11549.

    Raises:
        InvalidInput: Naming the first block of which it would leave out more, or refuse.
    """
    for index, block in enumerate(structure.blocks):
        if block.lacks == "MLP":
            raise _unknown_block(index, "has no MLP: llama.cpp would leave out its attention, too")
    if structure.blocks[0].lacks == "attention":
        problem = "has no attention: llama.cpp reads the width of a head off the first block"
        raise _unknown_block(0, problem)


def _window(config: Any) -> int | None:
    is_used = getattr(config, "use_sliding_window", True)
    window: int | None = getattr(config, "sliding_window", None) if is_used else None
    return window


def tensors_of(model: PreTrainedModel) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield name in llama.cpp and value of every tensor, each as it is needed."""
    decoder: Any = model.model
    head_dim = read_block(blocks_of(model)[0], 0).head_dim
    yield "token_embd.weight", decoder.embed_tokens.weight
    yield "output_norm.weight", decoder.norm.weight
    if not model.config.tie_word_embeddings:
        head: Any = model.lm_head
        yield "output.weight", head.weight
    factors = rope_factors(model)
    if not bool((factors == 1.0).all()):
        yield "rope_freqs.weight", factors
    for index, block in enumerate(blocks_of(model)):
        yield from _block_tensors(f"blk.{index}", block, head_dim)


def rope_factors(model: PreTrainedModel) -> torch.Tensor:
    """Return by what the plain frequencies are divided, ``(head_dim / 2,)``, float32."""
    rotary: Any = model.model.rotary_emb
    made: torch.Tensor = rotary.inv_freq.float().cpu()
    theta = float(model.config.rope_parameters["rope_theta"])
    exponents = torch.arange(0, 2 * len(made), 2, dtype=torch.float32) / (2 * len(made))
    factors = (1.0 / theta**exponents) / made
    return torch.where((factors - 1.0).abs() < 1e-5, torch.ones_like(factors), factors)


def interleaved(rows: torch.Tensor, head_dim: int) -> torch.Tensor:
    """Reorder the rows of queries or keys, weight or bias: llama.cpp rotates neighbours.

    transformers rotates row i of a head with row i + head_dim / 2 (Su et al. 2021, section 3.4.2,
    in another order).
    """
    halves = rows.reshape(-1, 2, head_dim // 2, *rows.shape[1:])
    return halves.transpose(1, 2).reshape(rows.shape)


def _block_tensors(
    prefix: str, block: torch.nn.Module, head_dim: int
) -> Iterator[tuple[str, torch.Tensor]]:
    for ours, theirs in NORMS.items():
        norm = getattr(block, ours)
        if not isinstance(norm, torch.nn.Identity):  # of a half that was removed
            yield f"{prefix}.{theirs}.weight", norm.weight
    for kind in kinds_of(block):
        matrix = matrix_of(block, kind)
        for part, tensor in (("weight", matrix.weight), ("bias", matrix.bias)):
            if tensor is not None:
                is_rotated = kind in ("q_proj", "k_proj")
                value = interleaved(tensor, head_dim) if is_rotated else tensor
                yield f"{prefix}.{MATRICES[kind]}.{part}", value


def _is_plain(blocks: tuple[BlockStructure, ...]) -> bool:
    alike = {replace(block, original_index=0) for block in blocks}
    return len(alike) == 1 and not blocks[0].biases


def _check(model: PreTrainedModel) -> None:
    config: Any = model.config
    name = type(model).__name__
    family = FAMILIES[name]
    if family.norms != tuple(NORMS):
        problem = "has norms that llama.cpp's architectures of blocks of any size lack"
        raise _unknown("architectures", name, problem)
    if config.hidden_act != "silu":
        raise _unknown("hidden_act", config.hidden_act, "is not the activation of llama.cpp's")
    if family.head_norms:
        problem = "llama.cpp knows norms of heads only where all blocks have one size"
        raise _unknown("architectures", name, problem)
    kind = config.rope_parameters.get("rope_type", "default")
    if kind not in STATIC_ROTARY:
        raise _unknown("rope_parameters.rope_type", kind, f"is none of {sorted(STATIC_ROTARY)}")


def _unknown_block(index: int, problem: str) -> InvalidInput:
    fix = "use --format container"
    return InvalidInput("format", "gguf", f"block {index} {problem}", fix=fix)


def _unknown(field: str, value: Any, problem: str) -> InvalidInput:
    return InvalidInput(f"config.json: {field}", value, problem, fix=_FIX)
