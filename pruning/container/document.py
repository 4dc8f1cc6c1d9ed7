"""Reading a model's JSON files: regular, small, UTF-8, without duplicate keys."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rankspace.errors import InvalidContainer, glimpse

MAX_BYTES = 25_000_000
"""Largest JSON read from a model; a safetensors header is held to the same."""


def read_document(path: Path) -> dict[str, Any]:
    """Read one JSON object.

    Raises:
        InvalidContainer: Not JSON, not an object, a key twice, or larger than ``MAX_BYTES``.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise _unreadable(path.name, size, f"is larger than {MAX_BYTES:,} bytes")
    return parse_document(path.name, path.read_bytes())


def parse_document(name: str, content: bytes) -> dict[str, Any]:
    """Parse one JSON object that came from the file ``name``."""
    try:
        document = json.loads(content.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _unreadable(name, f"{len(content):,} bytes", f"is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise _unreadable(name, document, "is not a JSON object")
    return document


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"it has the key {glimpse(name)} twice")
    return document


def _unreadable(name: str, value: Any, problem: str) -> InvalidContainer:
    return InvalidContainer(name, value, problem, fix="copy the file from its source again")
