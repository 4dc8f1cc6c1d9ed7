"""The JSON form of the vocabulary: one codec for REST, YAML, the database and the state blobs.

``encode`` turns a value into JSON types; ``decode`` reads it back through the class's own type
hints, so the classes are the schema. Unknown fields are errors that name the nearest known one.
"""

import dataclasses
import inspect
import math
import re
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache, partial
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from rankspace.errors import InvalidInput, UnsupportedVersion, cut, glimpse, nearest

VERSION = 1
"""Version of the JSON form; stored documents carry it, see ``pack`` and ``unpack``."""

MAX_INTEGER = 2**53
"""Beyond it a JSON reader that uses doubles would see another number."""

PLAIN = frozenset({int, float, str, bool, type(None)})
"""What JSON writes as it is."""

T = TypeVar("T")

_LATER = "came later"
LATER: Mapping[str, Any] = types.MappingProxyType({_LATER: True})
"""``metadata`` of a field that came later and has a default: it is left out while it says nothing.

Readers refuse a field that they do not know; so those of the version before go on reading all that
does not use it."""


def encode(value: Any) -> Any:
    """Turn dataclasses, enums, tuples and mappings into JSON types."""
    kind: Any = type(value)
    if kind in PLAIN:
        return value
    if (names := _names(kind)) is not None:
        return {name: encode(item) for name, item in _written(kind, value, names)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        # Most of what is written are the ranks of vectors: they are not looked at one by one.
        return [*value] if PLAIN.issuperset(map(type, value)) else [encode(item) for item in value]
    return value


def decode(kind: type[T], data: Any, field: str = "") -> T:
    """Read ``data`` (JSON types) as ``kind``.

    Raises:
        InvalidInput: With the dotted path of the field, its value and the fix.
    """
    result: T = _decode(kind, data, field)
    return result


def only(kind: type, data: Any) -> Any:
    """Leave out the fields that ``kind`` does not have, as a reader does that may be older."""
    if not isinstance(data, Mapping):
        return data
    return {name: item for name, item in data.items() if name in _hints(kind)}


def pack(value: Any) -> dict[str, Any]:
    """Encode with the version of the JSON form, for documents that outlive the process."""
    return {"wire": VERSION, "value": encode(value)}


def unpack(kind: type[T], document: Any) -> T:
    """Decode what ``pack`` wrote.

    Raises:
        UnsupportedVersion: It was written by another version of the JSON form.
    """
    if not isinstance(document, Mapping) or document.get("wire") != VERSION:
        found = document.get("wire") if isinstance(document, Mapping) else None
        raise UnsupportedVersion(
            f"document has wire version {glimpse(found)}, this program reads {VERSION}",
            hint="use the version of rankadaptor that wrote it",
        )
    return decode(kind, document.get("value"))


def json_schema(kind: Any) -> dict[str, Any]:
    """Describe ``kind`` as JSON Schema, for OpenAPI and for editors."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return {
            "title": kind.__name__,
            "type": "object",
            "additionalProperties": False,
            "required": sorted(_required(kind)),
            "properties": {
                field.name: _property(kind, field) for field in dataclasses.fields(kind)
            },
        }
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return {"anyOf": [json_schema(option) for option in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": json_schema(arguments[0])}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": json_schema(arguments[1])}
    return _scalar_schema(kind)


@cache
def meanings(kind: type) -> dict[str, str]:
    """What the ``Attributes:`` of a class's docstring say of each field, on one line."""
    _, _, section = (inspect.getdoc(kind) or "").partition("Attributes:\n")
    entries = re.findall(r"^ {4}(\w+): ((?:.|\n(?! {4}\w|\n))*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _property(kind: type, field: "dataclasses.Field[Any]") -> dict[str, Any]:
    """A field's schema, what it means, and its default unless it is a group with its own."""
    described = json_schema(_hints(kind)[field.name])
    if meaning := meanings(kind).get(field.name):
        described["description"] = meaning
    if "properties" not in described and field.name not in _required(kind):
        make = field.default_factory
        default = field.default if make is dataclasses.MISSING else make()
        described["default"] = encode(default)
    return described


def _scalar_schema(kind: Any) -> dict[str, Any]:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"enum": [member.value for member in kind]}
    names = {int: "integer", float: "number", str: "string", bool: "boolean", type(None): "null"}
    return {"type": names[kind]} if kind in names else {}


def _decode(kind: Any, data: Any, field: str) -> Any:
    return _reader(kind)(data, field)


@cache
def _reader(kind: Any) -> Callable[[Any, str], Any]:
    """How ``kind`` is read: found out once."""
    if dataclasses.is_dataclass(kind):
        return partial(_decode_dataclass, kind)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return partial(_decode_enum, kind)
    decode_generic = _GENERIC.get(get_origin(kind))
    if decode_generic:
        return partial(decode_generic, get_args(kind))
    return partial(_decode_scalar, kind)


def _decode_enum(kind: type[StrEnum], data: Any, field: str) -> StrEnum:
    return kind(_decode_choice([member.value for member in kind], data, field))


def _decode_dataclass(kind: Any, data: Any, field: str) -> Any:
    if not isinstance(data, Mapping):
        known = ", ".join(_hints(kind))
        raise InvalidInput(field, data, "must be a group of fields", fix=f"give {known}")
    hints = _hints(kind)
    for name in data:
        if name not in hints:
            raise InvalidInput(
                _join(field, name), data[name], "unknown field", fix=_near(name, hints)
            )
    for name in _required(kind):
        if name not in data:
            raise InvalidInput(_join(field, name), None, "is missing", fix=f"give {name}")
    values = {name: _decode(hints[name], item, _join(field, name)) for name, item in data.items()}
    try:
        return kind(**values)
    except InvalidInput as error:
        raise error.under(field) from None


def _decode_union(options: Sequence[Any], data: Any, field: str) -> Any:
    if data is None and type(None) in options:
        return None
    groups = [option for option in options if dataclasses.is_dataclass(option)]
    if isinstance(data, Mapping) and len(groups) == 1:  # what is wrong is then within it
        return _decode(groups[0], data, field)
    errors: list[InvalidInput] = []
    for option in options:
        if option is type(None):
            continue
        try:
            return _decode(option, data, field)
        except InvalidInput as error:
            errors.append(error)
    problem = " and ".join(error.problem for error in errors)
    raise InvalidInput(errors[0].field, errors[0].value, problem, fix=errors[-1].hint)


def _decode_choice(options: Sequence[Any], data: Any, field: str) -> Any:
    if data not in options:
        choices = ", ".join(map(str, options))
        raise InvalidInput(field, data, "is not one of the choices", fix=f"use one of: {choices}")
    return data


def _decode_tuple(arguments: Sequence[Any], data: Any, field: str) -> tuple[Any, ...]:
    if not isinstance(data, list | tuple):
        raise InvalidInput(field, data, "must be a list", fix="write it in [brackets]")
    return tuple(_decode(arguments[0], entry, f"{field}[{i}]") for i, entry in enumerate(data))


def _decode_mapping(arguments: Sequence[Any], data: Any, field: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise InvalidInput(field, data, "must be a group of name: value", fix="write {name: value}")
    return {
        str(key): _decode(arguments[1], entry, _join(field, str(key)))
        for key, entry in data.items()
    }


_GENERIC: Mapping[Any, Callable[[Sequence[Any], Any, str], Any]] = types.MappingProxyType(
    {
        Union: _decode_union,
        types.UnionType: _decode_union,
        Literal: _decode_choice,
        tuple: _decode_tuple,
        Mapping: _decode_mapping,
    }
)


def _decode_scalar(kind: Any, data: Any, field: str) -> Any:
    if kind is Any:
        return data
    if kind is float:
        return _decode_number(data, field)
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        article = {int: "a whole number", str: "a text", bool: "true or false"}
        raise InvalidInput(field, data, f"must be {article[kind]}", fix=f"give {article[kind]}")
    if kind is int and abs(data) > MAX_INTEGER:
        raise InvalidInput(field, data, "is too large", fix=f"stay within {MAX_INTEGER:,}")
    return data


def _decode_number(data: Any, field: str) -> float:
    if isinstance(data, bool) or not isinstance(data, int | float):
        hint = (
            "write 1.0e-4 (YAML reads 1e-4 as text)" if isinstance(data, str) else "give a number"
        )
        raise InvalidInput(field, data, "must be a number", fix=hint)
    too_large = isinstance(data, int) and abs(data) > MAX_INTEGER
    if too_large or not math.isfinite(data):
        raise InvalidInput(field, data, "is not a number to work with", fix="give a finite one")
    return float(data)


@cache
def _names(kind: type) -> tuple[str, ...] | None:
    """Of the fields of a dataclass; None for anything else."""
    return (
        tuple(f.name for f in dataclasses.fields(kind)) if dataclasses.is_dataclass(kind) else None
    )


def _written(kind: type, value: Any, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The fields, but for those that came later and say nothing."""
    later = _later(kind)
    for name in names:
        item = getattr(value, name)
        if name not in later or item != later[name]:
            yield name, item


@cache
def _later(kind: type) -> Mapping[str, Any]:
    """Fields of a dataclass that came later, with what they are when they say nothing."""
    return {
        f.name: f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
        for f in dataclasses.fields(kind)
        if _LATER in f.metadata
    }


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _required(kind: type) -> frozenset[str]:
    missing = dataclasses.MISSING
    return frozenset(
        f.name
        for f in dataclasses.fields(kind)
        if f.default is missing and f.default_factory is missing
    )


def _near(name: str, known: Mapping[str, Any]) -> str:
    close = nearest(str(name), known)
    return f"did you mean {close}?" if close else f"known fields: {', '.join(known)}"


def _join(field: str, name: str) -> str:
    shown = cut(str(name))
    return f"{field}.{shown}" if field else shown
