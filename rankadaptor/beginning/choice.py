"""Choice: what one field of a study file is to say, why, and what it might say instead."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another value of a field, for a person to take.

    Attributes:
        value: As in a study file.
        why: When it is the better one.
    """

    value: Any
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What a study file says in one field.

    Attributes:
        field: Full name, ``recipe.data.train``.
        value: As in a study file; None leaves the field at its default.
        why: What a person should know of it.
        instead: Other values.
    """

    field: str
    value: Any
    why: str
    instead: tuple[Alternative, ...] = ()


def document_of(choices: Iterable[Choice]) -> dict[str, Any]:
    """Return the study file that says what was chosen, as ``wire`` decodes it."""
    document: dict[str, Any] = {}
    for choice in choices:
        if choice.value is not None:
            *parents, last = choice.field.split(".")
            group = document
            for name in parents:
                group = group.setdefault(name, {})
            group[last] = choice.value
    return document
