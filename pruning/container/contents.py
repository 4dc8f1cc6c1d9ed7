"""Contents: everything a model's directory holds, checked without torch."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from pruning.container.architecture import Architecture, check_lists, parse_architecture
from pruning.container.document import read_document
from pruning.container.header import TensorHeader
from pruning.container.inference import infer_structure, uniform_structure
from pruning.container.manifest import NAME, Manifest, read_manifest
from pruning.container.naming import Names, names_of_blocks, names_of_parts, read_names
from pruning.container.recognition import refuse_known, refuse_leavings
from pruning.container.shapes import CONFIG, WEIGHTS, check_block_count, check_shapes
from pruning.container.structure import Structure
from pruning.container.translation import (
    AS_IT_IS,
    FusedPart,
    Translation,
    find_parts,
    split_headers,
)
from pruning.container.weights import locate, read_headers, weight_files
from rankspace import wire
from rankspace.errors import InvalidContainer

TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
TOKENIZER_FILES = (
    TOKENIZER,
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)
"""All the tokenizer is read from; only the first must be there."""
SENTENCEPIECE = "tokenizer.model"
GENERATION = "generation_config.json"


@dataclass(frozen=True, slots=True)
class Contents:
    """A model directory whose files agree with each other.

    Attributes:
        directory: Absolute path.
        architecture: From ``config.json``.
        structure: From ``pruned.json``, or of the uniform model of an ordinary directory.
        tensors: Headers of the weights by their stock names.
        stock: Stock name by stored name, of the tensors that are stored under another.
        parts: Matrices that are split when read, by the stock-like name of the fused one.
        left_out: Stored names of the tensors of blocks, and norms of halves, that the model skips.
        weights: The safetensors files.
        manifest: ``pruned.json``; None in an ordinary directory.
        hashes: SHA-256 by name of every file that is read, ``pruned.json`` excepted; of the weights
            once they are ``hashed``.
    """

    directory: Path
    architecture: Architecture
    structure: Structure
    tensors: Mapping[str, TensorHeader]
    stock: Mapping[str, str]
    parts: Mapping[str, tuple[FusedPart, ...]]
    left_out: frozenset[str]
    weights: tuple[Path, ...]
    manifest: Manifest | None
    hashes: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the structure and over names and SHA-256 of weights and config.

        The path, the tokenizer and the profiles have no part in it.
        """
        named = {path.name: self.hashes[path.name] for path in self.weights}
        named[CONFIG] = self.hashes[CONFIG]
        identity = {"files": named, "structure": wire.encode(self.structure)}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def read_contents(directory: Path, *, infer: bool = False) -> Contents:
    """Read and check ``directory``: a container, or an ordinary uniform Hugging Face model.

    Reads every weight file once, to hash it; allocates no tensor.

    Args:
        directory: Where ``config.json`` lies.
        infer: Without a ``pruned.json``, read the structure off the weights' shapes instead of
            demanding that all blocks have the sizes of the config.

    Raises:
        InvalidContainer: Naming what disagrees, its value and the fix.
    """
    return hashed(survey(directory, infer=infer))


def survey(
    directory: Path,
    *,
    infer: bool = False,
    translation: Translation = AS_IT_IS,
    known: Mapping[str, str] = MappingProxyType({}),
) -> Contents:
    """Read and check all of ``directory`` but its weights: a moment, whatever their size.

    Args:
        directory: Where ``config.json`` lies.
        infer: As for ``read_contents``.
        translation: How to read what another tool wrote.
        known: SHA-256 by name of files that were hashed a moment ago.

    Raises:
        InvalidContainer: As ``read_contents``, but for hashes.
    """
    root = _existing(directory)
    if not (root / CONFIG).exists():
        refuse_known(root)
    document = read_document(locate(root, CONFIG))
    architecture = parse_architecture(
        document if translation.config is None else translation.config
    )
    _check_tokenizer(root)
    manifest = read_manifest(locate(root, NAME)) if (root / NAME).exists() else None
    if not manifest:
        check_lists(architecture)
    weights = weight_files(root)
    stored = dict(read_headers(weights))
    left_out = _left_out(stored, translation, architecture)
    for name in left_out:
        del stored[name]
    refuse_leavings(stored)
    names = read_names(stored, tied=architecture.tied)
    tensors = {names.stock.get(name, name): header for name, header in stored.items()}
    parts = find_parts(tensors) if translation.split_from else {}
    tensors = split_headers(tensors, parts)
    check_block_count(architecture, tensors)
    structure, source = _structure(architecture, tensors, names, manifest, infer, translation)
    _check_blocks(architecture, structure, source)
    check_shapes(architecture, structure, tensors, source)
    read = (CONFIG, *_present(root))
    hashes = {name: known.get(name) or hash_file(locate(root, name)) for name in read}
    hashes = {**known, **hashes}
    if manifest:
        _check_listed(manifest, {*hashes, *(path.name for path in weights)})
        _check_hashes(manifest, hashes)
    return Contents(
        directory=root,
        architecture=architecture,
        structure=structure,
        tensors=tensors,
        stock=names.stock,
        parts=parts,
        left_out=left_out,
        weights=weights,
        manifest=manifest,
        hashes=hashes,
    )


def hashed(contents: Contents) -> Contents:
    """Hash the weights, too, and hold all files against what the manifest promises.

    Files whose hash is there already are not read again.

    Raises:
        InvalidContainer: One was changed, or is not there.
    """
    known = contents.hashes
    weights = {path.name: known.get(path.name) or hash_file(path) for path in contents.weights}
    hashes = {**known, **weights}
    if contents.manifest:
        others = sorted(contents.manifest.files.keys() - hashes.keys())
        unread = {name: hash_file(locate(contents.directory, name)) for name in others}
        _check_hashes(contents.manifest, {**weights, **unread})
    return replace(contents, hashes=hashes)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file of any size, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _left_out(
    stored: Collection[str], translation: Translation, architecture: Architecture
) -> frozenset[str]:
    """Return the stored names of what the tool skips: whole blocks, and norms of half of one."""
    family = architecture.family
    return (
        names_of_blocks(stored, translation.dropped)
        | names_of_parts(stored, translation.without_attention, family.attention_norms)
        | names_of_parts(stored, translation.without_mlp, family.mlp_norms)
    )


def _structure(
    architecture: Architecture,
    tensors: Mapping[str, TensorHeader],
    names: Names,
    manifest: Manifest | None,
    infer: bool,
    translation: Translation,
) -> tuple[Structure, str]:
    """Return the structure and the file it is from."""
    if manifest:
        return manifest.structure, NAME
    original = names.blocks or range(architecture.layers)
    if infer:
        return infer_structure(architecture, tensors, original, translation), WEIGHTS
    return uniform_structure(architecture, original), CONFIG


def _existing(directory: Path) -> Path:
    if not directory.is_dir():
        raise InvalidContainer(
            "model", str(directory), "is not a directory", fix="give the directory it lies in"
        )
    return directory.resolve()


def _present(root: Path) -> list[str]:
    """Return the files beside weights and config that will be read, links to nowhere included."""
    names = (*TOKENIZER_FILES, GENERATION)
    return [name for name in names if (root / name).is_symlink() or (root / name).exists()]


def _check_tokenizer(root: Path) -> None:
    try:
        locate(root, TOKENIZER)
    except InvalidContainer as error:
        raise _without_tokenizer(root, error) from None
    if not (root / TOKENIZER_CONFIG).exists():
        return
    config = read_document(locate(root, TOKENIZER_CONFIG))
    if config.get("auto_map"):
        raise InvalidContainer(
            f"{TOKENIZER_CONFIG}.auto_map",
            config["auto_map"],
            "asks for code from the model's author, which is never run",
            fix="use a stock tokenizer",
        )
    if config.get("fast_tokenizer_files"):
        raise InvalidContainer(
            f"{TOKENIZER_CONFIG}.fast_tokenizer_files",
            config["fast_tokenizer_files"],
            f"names other files than {TOKENIZER}",
            fix="remove the field",
        )


def _without_tokenizer(root: Path, error: InvalidContainer) -> InvalidContainer:
    """Say how to convert what is there; transformers asks for tiktoken, which is of no use."""
    fix = "AutoTokenizer.from_pretrained(SOURCE).save_pretrained(DIRECTORY) writes it"
    if (root / SENTENCEPIECE).exists():
        place = repr(str(root))
        fix = (
            f"convert {SENTENCEPIECE}: pip install sentencepiece protobuf, then python -c "
            f'"from transformers import AutoTokenizer as T; '
            f'T.from_pretrained({place}).save_pretrained({place})"'
        )
    return InvalidContainer(error.field, error.value, error.problem, fix=fix)


def _check_blocks(architecture: Architecture, structure: Structure, source: str) -> None:
    if len(structure.blocks) != architecture.layers:
        raise InvalidContainer(
            "config.json.num_hidden_layers",
            architecture.layers,
            f"{source} lists {len(structure.blocks)} blocks",
            fix="write the container anew",
        )
    for index, block in enumerate(structure.blocks):
        if block.head_dim != architecture.dense.head_dim:
            raise InvalidContainer(
                f"{source}.structure.blocks[{index}].head_dim",
                block.head_dim,
                f"differs from the {architecture.dense.head_dim} of config.json",
                fix="prune whole heads",
            )
        for one in block.factors:
            most = min(block.shape(one.kind, architecture.hidden))
            if one.rank > most:
                raise InvalidContainer(
                    f"{source}.structure.blocks[{index}].factors",
                    one.rank,
                    f"is more than the {most} that {one.kind} can have",
                    fix="write the container anew",
                )


def _check_listed(manifest: Manifest, names: Collection[str]) -> None:
    for name in sorted(names):
        if name not in manifest.files:
            raise InvalidContainer(
                f"{NAME}.files", name, "is not listed", fix="write the container anew"
            )


def _check_hashes(manifest: Manifest, hashes: Mapping[str, str]) -> None:
    for name, found in hashes.items():
        promised = manifest.files[name]
        if found != promised:
            raise InvalidContainer(
                name,
                found,
                f"its SHA-256 should be {promised}",
                fix="the file was changed or damaged: copy it from its source again",
            )
