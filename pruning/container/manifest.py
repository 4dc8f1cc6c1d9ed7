"""Manifest: the content of ``pruned.json``."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pruning.container.document import read_document
from pruning.container.structure import Structure
from rankspace import wire
from rankspace.errors import InvalidContainer, InvalidInput
from rankspace.layer_profile import LayerProfile

NAME = "pruned.json"
CARD = "README.md"
"""The model card: a container's own, but for people to edit, and therefore not listed."""
SCHEMA, FACTORED = 1, 2
"""Versions of the format: of whole matrices, which every program so far reads, and of factors."""
MAX_TOKENS = 1024
"""Longest input of a check, which is run through the model at every load."""


@dataclass(frozen=True, slots=True)
class LogitCheck:
    """What the model answered when it was written.

    Attributes:
        tokens: Ids of the input.
        entries: Ids whose logits at the last position are kept.
        logits: These logits, one per entry.
        dtype: Element type they were computed in (``float32``).
    """

    tokens: tuple[int, ...]
    entries: tuple[int, ...]
    logits: tuple[float, ...]
    dtype: str

    def __post_init__(self) -> None:
        if len(self.entries) != len(self.logits) or not self.tokens or not self.entries:
            raise InvalidContainer(
                "logits",
                len(self.logits),
                f"must be as many as the {len(self.entries)} entries, and not none",
                fix="write the container anew",
            )
        if len(self.tokens) > MAX_TOKENS:
            raise InvalidContainer(
                "tokens",
                len(self.tokens),
                f"may be at most {MAX_TOKENS}",
                fix="write the container anew",
            )


@dataclass(frozen=True, slots=True)
class Manifest:
    """All a directory says about itself beyond an ordinary model.

    Attributes:
        schema: Version of the format.
        structure: The decoder blocks.
        files: SHA-256 (hexadecimal) by file name, of every other file the model consists of.
        provenance: How the model came about: method, ratio, seed, source …
        profiles: What ``rankadaptor profile`` measured, or empty.
        check: The model's answer on fixed tokens; None where nobody computed it.
    """

    schema: int
    structure: Structure
    files: Mapping[str, str]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    profiles: tuple[LayerProfile, ...] = ()
    check: LogitCheck | None = None


def read_manifest(path: Path) -> Manifest:
    """Read ``pruned.json``.

    Raises:
        InvalidContainer: Another schema version, or a field that is missing, unknown or wrong.
    """
    document = read_document(path)
    if document.get("schema") not in (SCHEMA, FACTORED):
        raise InvalidContainer(
            f"{NAME}.schema",
            document.get("schema"),
            f"this program reads the versions {SCHEMA} and {FACTORED}",
            fix="upgrade rankadaptor, or write the container anew with this version",
        )
    try:
        manifest = wire.decode(Manifest, document, NAME)
    except InvalidInput as error:
        raise InvalidContainer(error.field, error.value, error.problem, fix=error.hint) from None
    if manifest.schema < schema_of(manifest.structure):
        raise InvalidContainer(
            f"{NAME}.schema",
            manifest.schema,
            f"has no factors, which its structure names; they came with version {FACTORED}",
            fix="write the container anew from its source",
        )
    return manifest


def schema_of(structure: Structure) -> int:
    """Return the earliest version of the format that has words for ``structure``."""
    return FACTORED if structure.is_factored else SCHEMA


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write ``pruned.json`` in one step: a reader sees the old one or the new one."""
    text = json.dumps(wire.encode(manifest), indent=1, allow_nan=False)
    handle, temporary = tempfile.mkstemp(dir=directory, prefix=f".{NAME}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        path = Path(temporary)
        path.chmod(0o644)
        path.replace(directory / NAME)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
