"""Source: a file as errors name it. Record: one row of it, before anybody knows its shape."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from rankspace.errors import InvalidInput

LONGEST = 2**24
"""Characters of one text of a row: more is no answer, and takes gigabytes to tokenise."""

Place: TypeAlias = str
"""Where in a file a row stands, as ``line 3`` or ``row 3``."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file as errors name it, without its content: who reads them need not be allowed to read it.

    Attributes:
        field: That names the file.
        path: Of the file.
    """

    field: str
    path: Path

    def refusal(self, problem: str, fix: str, place: Place | None = None) -> InvalidInput:
        """Make the error; ``FILE`` in ``fix`` stands for the file's name."""
        field = self.field if place is None else f"{self.field}, {place}"
        named = fix.replace("FILE", shlex.quote(self.path.name))
        return InvalidInput(field, str(self.path), problem, fix=named)


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file.

    Attributes:
        source: The file.
        place: Where in it.
        found: What stands there, as JSON types; None where it is no JSON.
    """

    source: Source
    place: Place
    found: Any

    def refusal(self, problem: str, fix: str) -> InvalidInput:
        return self.source.refusal(problem, fix, self.place)

    def text(self, name: str) -> str:
        """Return the text under ``name``; raises what ``checked`` does."""
        return self.checked(name, self.found[name])

    def checked(self, name: str, value: Any, longest: int = LONGEST) -> str:
        """Return ``value``, which the row has as ``name``.

        Raises:
            InvalidInput: It is no text, no whole one, or longer than ``longest`` characters.
        """
        if not isinstance(value, str):
            problem = f"has {kind(value)} as {name}, not a text"
            raise self.refusal(problem, "write one text in quotes, or drop the row")
        if len(value) > longest:
            problem = f"has {len(value):,} characters as {name}, more than the {longest:,} read"
            raise self.refusal(problem, "divide it among several rows, or drop the row")
        if not value.isascii():
            self._check_characters(name, value)
        return value

    def _check_characters(self, name: str, value: str) -> None:
        """Refuse half a character: JSON can spell one, UTF-8 and tokenizers cannot."""
        try:
            value.encode()
        except UnicodeEncodeError as error:
            place = f"character {error.start + 1:,} of its {name}"
            problem = f"has half a character (an unpaired surrogate) as {place}"
            fix = "write both halves of it or none: somebody cut the text there"
            raise self.refusal(problem, fix) from None


def kind(value: Any) -> str:
    """Say what ``value`` is without saying it."""
    names = {
        str: "a text",
        list: "a list",
        dict: "a group",
        bool: "true or false",
        type(None): "null",
    }
    return names.get(type(value), "a number")
