"""The pruned-model container: strict loading, atomic writing. See ``docs/container.md``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from pruning.container.assembly import build_on_meta, recreate_buffers
from pruning.container.contents import GENERATION, Contents, hashed, read_contents, survey
from pruning.container.description import description_of
from pruning.container.document import read_document
from pruning.container.logits import check_logits
from pruning.container.manifest import Manifest, schema_of, write_manifest
from pruning.container.shapes import EMBEDDING, OUTPUT, ROTARY_BUFFER
from pruning.container.structure import BlockStructure, Structure
from pruning.container.tokenizer import read_tokenizer
from pruning.container.weights import locate
from pruning.container.writing import write
from rankspace.errors import InvalidContainer
from rankspace.layer_profile import LayerProfile
from rankspace.pruned_model import PrunedModel

__all__ = ["LoadedModel", "load", "write", "write_profiles"]


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model in memory, verified, in eval mode, no parameter requiring a gradient.

    Attributes:
        model: Stock transformers class with per-block sizes.
        tokenizer: Its fast tokenizer.
        description: What the service knows of it; ``fingerprint`` identifies it.
        structure: Its decoder blocks.
        dense_block: The block its config describes: each block of the dense model.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    description: PrunedModel
    structure: Structure
    dense_block: BlockStructure


def load(
    directory: Path | str,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
) -> LoadedModel:
    """Load and verify a container, or an ordinary uniform Hugging Face directory.

    Args:
        directory: Where ``config.json`` lies.
        dtype: Element type of all parameters; None keeps that of the config.
        device: Where the weights go, tensor by tensor.

    Raises:
        InvalidContainer: Anything is damaged, unsupported or inconsistent.
    """
    return load_contents(survey(Path(directory)), dtype=dtype, device=device)


def load_contents(
    contents: Contents,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
) -> LoadedModel:
    """Load a directory that was surveyed; see ``load``.

    What is wrong with config or tokenizer is said before gigabytes are hashed and read.
    """
    model = build_on_meta(contents.architecture, contents.structure)
    tokenizer = read_tokenizer(contents)
    contents = hashed(contents)
    _fill(model, contents, dtype or stored_dtype(contents), device)
    recreate_buffers(model, device)
    _read_generation(model, contents.directory)
    if contents.manifest and contents.manifest.check:
        check_logits(model, contents.manifest.check)
    dense_block = contents.architecture.dense
    return LoadedModel(model, tokenizer, description_of(contents), contents.structure, dense_block)


def check_weights(contents: Contents) -> None:
    """Read every weight once and keep none: is each a number, and a tied pair one table?

    Takes about as long as hashing them, and the memory of the largest tensor.

    Raises:
        InvalidContainer: Naming the tensor.
    """
    kept = {EMBEDDING, OUTPUT} if contents.architecture.tied else set()
    tensors = _read_tensors(contents, None, "cpu")
    state = {name: tensor for name, tensor in tensors if name in kept}
    if contents.architecture.tied:
        _check_tied_copy(state)


def write_profiles(directory: Path, profiles: Sequence[LayerProfile]) -> PrunedModel:
    """Store what was measured in ``pruned.json``; the fingerprint stays the same.

    An ordinary Hugging Face directory gets a ``pruned.json`` this way and becomes a container.

    Raises:
        InvalidContainer: The directory is not a valid model, or a profile names no matrix of it.
    """
    contents = read_contents(directory)
    known = {matrix.name for matrix in description_of(contents).matrices}
    for profile in profiles:
        if profile.name not in known:
            raise InvalidContainer(
                "profiles", profile.name, "the model has no such matrix", fix="measure this model"
            )
    structure = contents.structure
    manifest = contents.manifest or Manifest(schema_of(structure), structure, contents.hashes)
    manifest = replace(manifest, profiles=tuple(profiles))
    write_manifest(contents.directory, manifest)
    return description_of(replace(contents, manifest=manifest))


def _fill(
    model: PreTrainedModel, contents: Contents, dtype: torch.dtype, device: torch.device | str
) -> None:
    state = dict(_read_tensors(contents, dtype, device))
    if contents.architecture.tied:
        _check_tied_copy(state)
        state[OUTPUT] = state[EMBEDDING]
    model.load_state_dict(state, strict=True, assign=True)
    model.tie_weights()
    model.requires_grad_(False)
    model.config.dtype = dtype
    left = [name for name, tensor in model.named_parameters() if tensor.is_meta]
    assert not left, f"parameters without a value: {left}"


def _read_tensors(
    contents: Contents, dtype: torch.dtype | None, device: torch.device | str
) -> Iterator[tuple[str, torch.Tensor]]:
    for path in contents.weights:
        try:
            with safe_open(path, framework="pt", device=str(device)) as file:
                for name in file.keys():  # noqa: SIM118 - not a mapping
                    if name not in contents.left_out and not name.endswith(ROTARY_BUFFER):
                        tensor = _finite(name, file.get_tensor(name))
                        for part, rows in _split(contents, name, tensor):
                            yield part, rows.to(dtype or rows.dtype)
        except SafetensorError as error:
            fix = "copy the file from its source again"
            raise InvalidContainer(path.name, str(error), "cannot be read", fix=fix) from None


def _split(
    contents: Contents, name: str, tensor: torch.Tensor
) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield what is stored as ``name`` under its stock names: views, so that nothing is copied."""
    stock = contents.stock.get(name, name)
    if stock not in contents.parts:
        yield stock, tensor
    for part in contents.parts.get(stock, ()):
        yield part.name, tensor.narrow(0, part.begin, part.header.shape[0])


def _finite(name: str, tensor: torch.Tensor) -> torch.Tensor:
    # The sum of absolute values would overflow in half precision; the extremes cannot.
    low, high = torch.aminmax(tensor)
    if not torch.isfinite(low) or not torch.isfinite(high):
        raise InvalidContainer(
            name, "NaN or infinity", "the weights are not numbers", fix="save the model anew"
        )
    return tensor


def _check_tied_copy(state: Mapping[str, torch.Tensor]) -> None:
    copy = state.get(OUTPUT)
    if copy is not None and not torch.equal(copy, state[EMBEDDING]):
        raise InvalidContainer(
            OUTPUT,
            list(copy.shape),
            "differs from the embedding it is tied to",
            fix="write tie_word_embeddings: false into config.json, or drop the tensor",
        )


def stored_dtype(contents: Contents) -> torch.dtype:
    """Return the config's element type, as transformers does, or else the embedding's."""
    config: Mapping[str, Any] = contents.architecture.config
    named = config.get("dtype") or config.get("torch_dtype")
    short = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
    name = str(named or short[contents.tensors[EMBEDDING].dtype]).removeprefix("torch.")
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def _read_generation(model: PreTrainedModel, directory: Path) -> None:
    if not (directory / GENERATION).exists():
        return
    document = read_document(locate(directory, GENERATION))
    try:
        model.generation_config = GenerationConfig.from_dict(document)
    except (ValueError, TypeError) as error:
        raise InvalidContainer(
            GENERATION, str(error), "transformers refuses it", fix="remove the file"
        ) from None
