"""Rank vectors of one's own in a JSON file: as a list, by name, or as PEFT writes them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rankadaptor.ranks.peft_config import is_peft, ranks_of_peft
from rankspace import RankVector, SearchSpace
from rankspace.errors import InvalidInput, UnreadableInput, cut
from rankspace.granularity import fixed_ranks
from rankspace.study import MOST_CANDIDATES

MAX_BYTES = 16 << 20
REST = "*"
"""The name that stands for all layers that are not named."""


def read_vectors(file: Path, space: SearchSpace, modules: Sequence[str]) -> tuple[RankVector, ...]:
    """Read one rank vector, or a list of several, for a study of the kinds ``modules``.

    A vector is a list of ranks in the order of the study's layers; a group of names, or of patterns
    as in ``search.fixed``, and their ranks, with ``*`` for all others; or a PEFT configuration with
    a ``rank_pattern``. By name, a layer gets no more than it can use, as with uniform ranks.

    Raises:
        UnreadableInput: Not a readable JSON document.
        InvalidInput: No vector of ``space``; names the layer or the entry.
    """
    document = _document(file)
    several = isinstance(document, list) and not all(map(_is_rank, document))
    entries = document if several else [document]
    if not 1 <= len(entries) <= MOST_CANDIDATES:
        fix = f"give 1 to {MOST_CANDIDATES}"
        raise InvalidInput("FILE", str(file), f"has {len(entries)} rank vectors", fix=fix)
    vectors = tuple(_vector(entry, space, modules) for entry in entries)
    for vector in vectors:
        space.check(vector)
    return vectors


def _is_rank(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _vector(entry: Any, space: SearchSpace, modules: Sequence[str]) -> RankVector:
    if isinstance(entry, Mapping) and "rank_vector" in entry:
        entry = entry["rank_vector"]
    if isinstance(entry, list) and all(map(_is_rank, entry)):
        return RankVector(tuple(entry))
    if not isinstance(entry, Mapping):
        fix = "give a list of ranks, a group of names and ranks, or a PEFT adapter_config.json"
        raise InvalidInput("FILE", entry, "is no rank vector", fix=fix)
    named = ranks_of_peft(entry, space, modules) if is_peft(entry) else _named(entry, space)
    return RankVector(tuple(_usable(space, index, named) for index in range(len(space.layers))))


def _usable(space: SearchSpace, index: int, named: Mapping[str, int]) -> int:
    name = space.layers[index].name
    if name in space.fixed:
        return named.get(name, space.fixed[name])
    return min(named[name], space.choices(index)[-1]) if name in space.parts else named[name]


def _named(entry: Mapping[str, Any], space: SearchSpace) -> Mapping[str, int]:
    """The rank of each layer but for fixed ones that are not named."""
    for name, rank in entry.items():
        if not _is_rank(rank):
            raise InvalidInput(cut(name), rank, "is no rank", fix="give a whole number")
    given = {name: rank for name, rank in entry.items() if name != REST}
    try:
        found = fixed_ranks(given, space.layers, ())
    except InvalidInput as error:
        field = error.field.removeprefix("search.fixed.")
        raise InvalidInput(field, error.value, error.problem, fix=error.hint) from None
    missing = [layer.name for layer in space.layers if layer.name not in found.keys() | space.fixed]
    if missing and REST not in entry:
        problem = f"and {len(missing) - 1} more layers have no rank" if missing[1:] else "has none"
        raise InvalidInput("FILE", missing[0], problem, fix='add "*" with the rank of all others')
    return {**dict.fromkeys(missing, entry.get(REST, 0)), **found}


def _document(file: Path) -> Any:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UnreadableInput("FILE", str(file), "is too large", fix="give one vector")
        return json.loads(content.decode("utf-8-sig"))
    except OSError as error:
        problem, fix = f"cannot be read: {error.strerror}", "give a JSON file"
        raise UnreadableInput("FILE", str(file), problem, fix=fix) from error
    except (ValueError, RecursionError):
        fix = "write [0, 4, …], or {name: rank}"
        raise UnreadableInput("FILE", str(file), "is not JSON in UTF-8", fix=fix) from None
