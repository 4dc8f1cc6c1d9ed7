"""Writing a container: into a new directory beside the target, then renamed into place."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pruning.container.architecture import FAMILIES
from pruning.container.assembly import blocks_of, read_structure
from pruning.container.contents import GENERATION, hash_file, hashed, survey
from pruning.container.description import description_of
from pruning.container.logits import record_logits
from pruning.container.manifest import CARD, Manifest, schema_of, write_manifest
from pruning.container.shapes import CONFIG, OUTPUT
from pruning.container.target import drafted
from pruning.container.tokenizer import check_tokens
from pruning.container.weights import INDEX, SINGLE
from rankspace.errors import InvalidContainer, InvalidInput
from rankspace.layer_profile import LayerProfile
from rankspace.pruned_model import PrunedModel

SHARD_BYTES = 2_000_000_000


def write(  # noqa: PLR0913 - what a container consists of
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    directory: Path,
    *,
    provenance: Mapping[str, Any],
    profiles: Sequence[LayerProfile] = (),
    original: Sequence[int] | None = None,
    shard_bytes: int = SHARD_BYTES,
    card: str | None = None,
) -> PrunedModel:
    """Write ``model`` as a container; either all of it appears at ``directory`` or nothing.

    Args:
        model: A stock class of an allowed family, its blocks of any size.
        tokenizer: Its fast tokenizer.
        directory: New, empty, or a container, which is replaced.
        provenance: How the model came about; JSON types.
        profiles: What was measured on it, if anything.
        original: Index of each block in the dense model; None when no block was dropped.
        shard_bytes: Largest weight file to write.
        card: The model card; None for none.

    Raises:
        InvalidContainer: Another family, a model that answers NaN, a directory that holds other
            things than one container.
        InvalidInput: ``original`` does not fit the model's blocks.
    """
    _check_family(model)
    check_tokens(tokenizer, int(model.config.vocab_size))
    blocks = len(blocks_of(model))
    check_original(original, blocks)
    structure = read_structure(model, tuple(range(blocks) if original is None else original))
    with drafted(directory) as draft:
        write_files(model, tokenizer, draft, shard_bytes)
        files = {path.name: hash_file(path) for path in sorted(draft.iterdir())}
        if card is not None:
            (draft / CARD).write_text(card, encoding="utf-8")
        check = record_logits(model)
        manifest = Manifest(
            schema_of(structure), structure, files, provenance, tuple(profiles), check
        )
        write_manifest(draft, manifest)
        contents = hashed(survey(draft, known=files))
    return replace(description_of(contents), path=str(directory.resolve()))


def check_original(original: Sequence[int] | None, blocks: int) -> None:
    """Check that each of ``blocks`` blocks has its index in the dense model.

    Raises:
        InvalidInput: There are more or fewer.
    """
    if original is not None and len(original) != blocks:
        raise InvalidInput(
            "original",
            list(original),
            f"must give each of the model's {blocks} blocks its index in the dense model",
            fix=f"list {blocks} rising indices, or leave it out",
        )


def _check_family(model: PreTrainedModel) -> None:
    name = type(model).__name__
    if name not in FAMILIES:
        raise InvalidContainer(
            "model", name, "is not supported", fix=f"use one of {sorted(FAMILIES)}"
        )


def write_files(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    directory: Path,
    shard_bytes: int,
) -> None:
    """Write weights, config and tokenizer into ``directory``, as ``save_pretrained`` would."""
    _write_weights(model, directory, shard_bytes)
    config = json.loads(model.config.to_json_string(use_diff=False))
    config |= {"architectures": [type(model).__name__], "dtype": _name(model.dtype)}
    public = {key: value for key, value in config.items() if not key.startswith("_")}
    _write_json(directory / CONFIG, public)
    # Several chat templates would become files in a directory of their own.
    tokenizer.save_pretrained(directory, save_jinja_files=False)
    if model.generation_config is not None:
        generation = json.loads(model.generation_config.to_json_string())
        _write_json(directory / GENERATION, generation)
    for path in directory.iterdir():
        path.chmod(0o644)  # safetensors writes files that only their owner can read


def _write_weights(model: PreTrainedModel, directory: Path, shard_bytes: int) -> None:
    state = model.state_dict()
    if model.config.tie_word_embeddings:
        state.pop(OUTPUT, None)
    shards = list(_shards(state, shard_bytes))
    if len(shards) == 1:
        save_file(shards[0], directory / SINGLE, metadata={"format": "pt"})
        return
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file(shard, directory / name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(shard, name)
    size = sum(tensor.nbytes for tensor in state.values())
    _write_json(directory / INDEX, {"metadata": {"total_size": size}, "weight_map": weight_map})


def _shards(state: Mapping[str, torch.Tensor], limit: int) -> Iterator[dict[str, torch.Tensor]]:
    """Fill files up to ``limit`` bytes in the order of the model; one tensor may exceed it."""
    shard: dict[str, torch.Tensor] = {}
    filled = 0
    for name, tensor in state.items():
        if shard and filled + tensor.nbytes > limit:
            yield shard
            shard, filled = {}, 0
        shard[name] = tensor.contiguous()
        filled += tensor.nbytes
    yield shard


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    text = json.dumps(document, indent=2, sort_keys=True, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
