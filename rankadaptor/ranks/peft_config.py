"""What a PEFT configuration says of the layers of a study: LoRA's and AdaLoRA's."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rankadaptor.ranks.peft_targets import check_targets, is_target
from rankadaptor.ranks.time_limit import time_limit
from rankspace import Layer, SearchSpace
from rankspace.errors import InvalidInput, cut, nearest

MOST_PATTERNS = 1_000
"""Entries that are no names, each held against every layer."""

PREFIX = "base_model.model."
"""Before names in the files of a wrapped model."""

UNKNOWN = ("exclude_modules", "layers_to_transform")
"""Settings that choose among the matrices, and are not read here."""


@dataclass(slots=True)
class _Found:
    """What the patterns said of one layer.

    Attributes:
        rank: That of the first one.
        key: That pattern.
        kinds: Kinds of its matrices that were named, where the layer itself was not.
        is_whole: Whether it was.
    """

    rank: int
    key: str
    kinds: set[str] = field(default_factory=set)
    is_whole: bool = False


def is_peft(document: Mapping[str, Any]) -> bool:
    return "rank_pattern" in document or "peft_type" in document


def ranks_of_peft(
    config: Mapping[str, Any], space: SearchSpace, modules: Sequence[str]
) -> Mapping[str, int]:
    """Give each layer its rank: that of the first pattern that matches, ``r``, or 0.

    As in PEFT a pattern is a regular expression on the end of a name, ``r`` is for the targets that
    no pattern matches, and what is no target has no adapter. AdaLoRA writes which of the ranks of a
    matrix it kept. In a study of blocks all matrices of one block must have one rank.

    Args:
        config: Of PEFT.
        space: Of the study.
        modules: Kinds of matrices that the study adapts.

    Raises:
        InvalidInput: Not such a configuration, a pattern that matches no layer or takes for ever,
            an adapter that the study cannot have, or too little said.
    """
    for name in UNKNOWN:
        if config.get(name):
            fix = "name each matrix in rank_pattern, and leave it out"
            raise InvalidInput(name, config[name], "is not read", fix=fix)
    patterns = config.get("rank_pattern") or {}
    if not isinstance(patterns, Mapping):
        raise InvalidInput("rank_pattern", patterns, "is no group", fix="give {pattern: rank}")
    ranks = {_plain(key): _rank(key, value) for key, value in patterns.items()}
    check_targets(config.get("target_modules"), space, modules)
    with time_limit("rank_pattern"):
        found = _matched(ranks, space)
    blocks = (layer.name for layer in space.layers if layer.module is None)
    for name in found.keys() & {*blocks}:
        _check_whole(config, name, found[name], modules)
    others = [one for one in space.layers if one.name not in found.keys() | space.fixed]
    with time_limit("target_modules"):
        rest = {layer.name: _rest(config, layer) for layer in others}
    return {**rest, **{name: one.rank for name, one in found.items()}}


def _plain(key: str) -> str:
    """The pattern without what tools add to a name."""
    for prefix in (PREFIX, re.escape(PREFIX)):
        key = key.removeprefix(prefix)
    return re.sub(r"\.lora_E(\.\w+)?$", "", key)


def _rank(key: str, value: Any) -> int:
    if isinstance(value, list) and all(isinstance(kept, bool) for kept in value):
        return sum(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise InvalidInput(f"rank_pattern.{cut(key)}", value, "is no rank", fix="give a whole number")


def _matched(ranks: Mapping[str, int], space: SearchSpace) -> dict[str, _Found]:
    names = [layer.name for layer in space.layers]
    literal = {re.escape(name): name for name in names} | {name: name for name in names}
    found: dict[str, _Found] = {}
    patterns = 0
    for key, rank in ranks.items():
        patterns += key not in literal
        if patterns > MOST_PATTERNS:
            fix = "write fewer that match more, or full names"
            raise InvalidInput("rank_pattern", len(ranks), "are too many patterns", fix=fix)
        direct = [literal[key]] if key in literal else _direct(key, names)
        owned = [] if direct else _owned(key, names)
        for name in direct or owned or _nothing(key, rank, names):
            _note(key, rank, name, found, is_whole=bool(direct))
    return found


def _direct(key: str, names: Sequence[str]) -> list[str]:
    """Layers whose name the pattern matches as PEFT would."""
    field_name = f"rank_pattern.{cut(key)}"
    try:
        pattern = re.compile(rf"(.*\.)?({key})$")
    except re.error as error:
        problem, fix = f"is no pattern: {error}", "escape what is no pattern, as in a\\.b"
        raise InvalidInput(field_name, key, problem, fix=fix) from None
    return [name for name in names if pattern.match(name)]


def _owned(key: str, names: Sequence[str]) -> list[str]:
    """Layers that the matrix lies in: ``a.b`` and ``a`` of ``a.b.c``, escaped or not."""
    parts = key.replace("\\", "").split(".")
    owners = {".".join(parts[:end]) for end in range(1, len(parts))}
    return [name for name in names if name in owners]


def _note(key: str, rank: int, name: str, found: dict[str, _Found], *, is_whole: bool) -> None:
    """Keep the first rank, as PEFT does; one block's matrices must have the same."""
    known = found.setdefault(name, _Found(rank, key))
    if is_whole:
        known.is_whole = True
        return
    if known.rank != rank:
        problem = f"the matrices of {name} have ranks {known.rank} and {rank}"
        raise InvalidInput(f"rank_pattern.{cut(key)}", rank, problem, fix="use one per block")
    known.kinds.add(key.rpartition(".")[2])


def _check_whole(
    config: Mapping[str, Any], name: str, found: _Found, modules: Sequence[str]
) -> None:
    """Refuse a rank for some matrices of a block whose others have another one."""
    left = [kind for kind in modules if kind not in found.kinds]
    others = _others(config)
    if not found.is_whole and left and others != found.rank:
        problem = f"{', '.join(left)} of {name} have rank {others}, and a block has one"
        fix = f"name all its matrices with one rank, or {name} itself"
        raise InvalidInput(f"rank_pattern.{cut(found.key)}", found.rank, problem, fix=fix)


def _nothing(key: str, rank: int, names: Sequence[str]) -> Iterator[str]:
    """No layer: of no account at rank 0, else an error."""
    if rank:
        near = nearest(key.replace("\\", ""), names)
        fix = f"did you mean {near}?" if near else "leave it out: the study does not search it"
        raise InvalidInput(f"rank_pattern.{cut(key)}", rank, "matches no layer", fix=fix)
    return iter(())


def _others(config: Mapping[str, Any]) -> Any:
    """The rank of targets that no pattern matches, if it is said."""
    return 0 if config.get("peft_type") == "ADALORA" else config.get("r")


def _rest(config: Mapping[str, Any], layer: Layer) -> int:
    """The rank of a layer that no pattern matches."""
    rank, targets = _others(config), config.get("target_modules")
    if layer.module and targets is not None and not is_target(layer.name, targets):
        return 0
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 0:
        fix = "add r, the rank of all that rank_pattern does not name"
        raise InvalidInput("r", rank, f"says nothing of {layer.name}", fix=fix)
    return rank
