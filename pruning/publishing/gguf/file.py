"""Writing a GGUF file, tensor by tensor."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pruning.container.structure import Structure
from pruning.publishing.gguf.chat import left_out, template_of
from pruning.publishing.gguf.layout import Layout, layout_of, tensors_of
from pruning.publishing.gguf.surroundings import Surroundings
from pruning.publishing.gguf.vocabulary import BYTE_LEVEL, Vocabulary, vocabulary_of
from rankspace.errors import InvalidInput

FILE = "model.gguf"

TYPES: Mapping[torch.dtype, tuple[str, str]] = MappingProxyType(
    {
        torch.float32: ("F32", "ALL_F32"),
        torch.float16: ("F16", "MOSTLY_F16"),
        torch.bfloat16: ("BF16", "MOSTLY_BF16"),
    }
)
"""Names in GGUF of a matrix's and a file's type; vectors are always F32."""


def write_gguf(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    structure: Structure,
    path: Path,
    *,
    title: str,
) -> str:
    """Write ``model`` and ``tokenizer`` to a new file; return what its reader must know of it.

    Matrices keep the model's type. No more than one tensor is held beside the model.

    Raises:
        InvalidInput: llama.cpp would compute something else, or ``gguf`` is not installed.
    """
    library = gguf_library()
    _check_type(model)
    layout = layout_of(model, structure)
    vocabulary = vocabulary_of(tokenizer, layout.vocabulary)
    writer = library.GGUFWriter(path, layout.architecture)
    writer.add_name(title)
    writer.add_file_type(library.LlamaFileType[TYPES[model.dtype][1]])
    _add_layout(writer, layout)
    _add_vocabulary(writer, vocabulary)
    _add_special(writer, tokenizer, vocabulary.around)
    _write_tensors(writer, library, model)
    told = (layout.differs, vocabulary.differs, *left_out(model, tokenizer))
    return "; ".join(text for text in told if text)


def gguf_library() -> Any:
    """Return the package ``gguf``, which an extra brings.

    Raises:
        InvalidInput: It is not installed.
    """
    try:
        return import_module("gguf")
    except ImportError:
        fix = "pip install 'rankadaptor[gguf]'"
        raise InvalidInput("format", "gguf", "the package gguf is not here", fix=fix) from None


def _check_type(model: PreTrainedModel) -> None:
    if model.dtype not in TYPES:
        known = [str(dtype).removeprefix("torch.") for dtype in TYPES]
        problem, fix = "is no type of GGUF", f"use one of {known}"
        raise InvalidInput("dtype", str(model.dtype), problem, fix=fix)


def _add_layout(writer: Any, layout: Layout) -> None:
    is_uniform = len({*zip(layout.heads, layout.kv_heads, layout.ffn, strict=True)}) == 1
    for add, values in (
        (writer.add_head_count, layout.heads),
        (writer.add_head_count_kv, layout.kv_heads),
        (writer.add_feed_forward_length, layout.ffn),
    ):
        add(values[0] if is_uniform else list(values))
    writer.add_block_count(len(layout.heads))
    writer.add_context_length(layout.context)
    writer.add_embedding_length(layout.hidden)
    writer.add_vocab_size(layout.vocabulary)
    writer.add_key_length(layout.head_dim)
    writer.add_value_length(layout.head_dim)
    writer.add_rope_dimension_count(layout.head_dim)
    writer.add_rope_freq_base(layout.rope_base)
    writer.add_layer_norm_rms_eps(layout.rms_epsilon)


def _add_vocabulary(writer: Any, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model(vocabulary.kind)
    writer.add_tokenizer_pre(vocabulary.split)
    writer.add_token_list(list(vocabulary.tokens))
    writer.add_token_types(list(vocabulary.types))
    if vocabulary.kind == BYTE_LEVEL:
        writer.add_token_merges(list(vocabulary.merges))
    else:
        writer.add_token_scores(list(vocabulary.scores))
    writer.add_add_space_prefix(vocabulary.has_space_prefix)


def _add_special(writer: Any, tokenizer: PreTrainedTokenizerBase, around: Surroundings) -> None:
    """Say which tokens begin and end a text, and whether they are put there unasked."""
    for name in ("bos", "eos", "unk", "pad"):
        index = getattr(tokenizer, f"{name}_token_id")
        if index is not None:
            getattr(writer, f"add_{name}_token_id")(index)
    writer.add_add_bos_token(around.has_bos)
    writer.add_add_eos_token(around.has_eos)
    template = template_of(tokenizer)
    if template is not None:
        writer.add_chat_template(template)


def _write_tensors(writer: Any, library: Any, model: PreTrainedModel) -> None:
    for name, tensor in tensors_of(model):
        kind = library.GGMLQuantizationType[_type_of(tensor)]
        bytes_ = tensor.numel() * (4 if tensor.ndim == 1 else tensor.element_size())
        writer.add_tensor_info(name, tuple(tensor.shape), np.dtype(np.float32), bytes_, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for _, tensor in tensors_of(model):
        writer.write_tensor_data(_array(tensor))
    writer.close()


def _type_of(tensor: torch.Tensor) -> str:
    return "F32" if tensor.ndim == 1 else TYPES[tensor.dtype][0]


def _array(tensor: torch.Tensor) -> np.ndarray[Any, Any]:
    """Return the bytes of a tensor as numpy knows them; it has no bfloat16."""
    plain = tensor.detach().cpu().contiguous()
    if plain.ndim == 1:
        return plain.float().numpy()
    return plain.view(torch.int16).numpy() if plain.dtype is torch.bfloat16 else plain.numpy()
