"""Which matrices a PEFT configuration gives an adapter, and whether a study can say so."""

import re
from collections.abc import Sequence
from typing import Any

from rankspace import SearchSpace
from rankspace.errors import InvalidInput
from rankspace.recipe import LINEAR_MODULES

TARGETS = "target_modules"
ALL = "all-linear"


def check_targets(targets: Any, space: SearchSpace, modules: Sequence[str]) -> None:
    """Refuse targets that are none of the study's matrices, or only some of a block.

    Raises:
        InvalidInput: Which, or what they should be; or they are no names.
    """
    if targets is None:
        return
    if not isinstance(targets, str | list):
        raise InvalidInput(TARGETS, targets, "is no list of names", fix="give a list of names")
    if targets == ALL:
        _check_all(modules)
    elif any(layer.module is None for layer in space.layers):
        _check_blocks(targets, modules)
    elif isinstance(targets, list):
        _check_known(targets, space)


def is_target(name: str, targets: str | Sequence[str]) -> bool:
    """Whether PEFT gives the matrix ``name`` an adapter.

    Raises:
        InvalidInput: They are no pattern.
    """
    if isinstance(targets, str):
        return targets == ALL or bool(_pattern(targets).fullmatch(name))
    return any(name == one or name.endswith(f".{one}") for one in targets)


def _pattern(targets: str) -> re.Pattern[str]:
    try:
        return re.compile(targets)
    except re.error as error:
        fix = "give a list of names"
        raise InvalidInput(TARGETS, targets, f"is no pattern: {error}", fix=fix) from None


def _check_all(modules: Sequence[str]) -> None:
    others = [kind for kind in LINEAR_MODULES if kind not in modules]
    if others:
        problem = f"means {', '.join(others)} too, which the study gives no adapter"
        raise InvalidInput(TARGETS, ALL, problem, fix=f"write {[*modules]}")


def _check_blocks(targets: str | Sequence[str], modules: Sequence[str]) -> None:
    """A rank of a block is that of all its matrices."""
    if isinstance(targets, str) or {*targets} != {*modules}:
        problem = f"a block of the study has one rank for {', '.join(modules)}"
        fix = f"write {[*modules]}, or try it in a study of granularity module"
        raise InvalidInput(TARGETS, targets, problem, fix=fix)


def _check_known(targets: Sequence[Any], space: SearchSpace) -> None:
    for index, one in enumerate(targets):
        if not any(is_target(layer.name, [one]) for layer in space.layers):
            kinds = sorted({layer.module for layer in space.layers if layer.module})
            fix = f"leave it out; the study adapts {', '.join(kinds)}"
            problem = "is no matrix of the study, which gives it no adapter"
            raise InvalidInput(f"{TARGETS}[{index}]", one, problem, fix=fix)
