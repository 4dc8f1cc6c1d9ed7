"""The page of the study file: every field of the classes in ``rankspace`` that it is read by."""

import dataclasses
from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import NoneType
from typing import Any, get_args, get_type_hints

from rankspace.study import Study
from rankspace.wire import meanings

HEADER = """\
# The study file

Made from the classes in `rankspace` by `make docs`; do not edit. Every field has a default except
those marked *required*. Unknown fields are errors that name the nearest known one.
`rankadaptor submit --schema` prints the same as JSON Schema, for editors.

| field | type | default | meaning |
|---|---|---|---|
"""


def study_page() -> str:
    """Describe every field of a study file as one Markdown table."""
    return HEADER + "".join(_rows(Study, ""))


def _rows(kind: type, prefix: str) -> Iterator[str]:
    hints, told = get_type_hints(kind), meanings(kind)
    for field in dataclasses.fields(kind):
        hint, name = hints[field.name], f"{prefix}{field.name}"
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            yield from _rows(hint, f"{name}.")
        else:
            cells = (f"`{name}`", _type(hint), _default(field), told.get(field.name, ""))
            yield f"| {' | '.join(cells)} |\n"
            if (of := _group_of(hint)) is not None:
                yield from _rows(of, f"{name}[].")


def _group_of(hint: Any) -> type | None:
    """The class of a list of groups; None of any other type."""
    if getattr(hint, "__origin__", None) is not tuple:
        return None
    of = get_args(hint)[0]
    return of if isinstance(of, type) and dataclasses.is_dataclass(of) else None


def _type(hint: Any) -> str:
    options = get_args(hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return " or ".join(f"`{member.value}`" for member in hint)
    if options and all(isinstance(option, str) for option in options):
        return " or ".join(f"`{option}`" for option in options)
    if getattr(hint, "__origin__", None) is tuple:
        return f"list of {'groups' if _group_of(hint) else _type(options[0])}"
    if getattr(hint, "__origin__", None) is Mapping:
        return f"{_type(options[0])} → {_type(options[1])}"
    if options:
        return " or ".join(map(_type, filter(_is_written, options)))
    names = {int: "whole number", float: "number", str: "text", bool: "true or false"}
    return names[hint]


def _default(field: "dataclasses.Field[Any]") -> str:
    if field.default_factory is not dataclasses.MISSING:
        return f"`{field.default_factory()}`"
    if field.default is dataclasses.MISSING:
        return "*required*"
    value = field.default
    if value is None:
        return "none"
    return f"`{value.value if isinstance(value, StrEnum) else _yaml(value)}`"


def _yaml(value: Any) -> str:
    return str(list(value)).replace("'", "") if isinstance(value, tuple) else str(value)


def _is_written(hint: Any) -> bool:
    """Nobody writes null, nor by hand a group that a program makes of a file."""
    return hint is not NoneType and not dataclasses.is_dataclass(hint)
