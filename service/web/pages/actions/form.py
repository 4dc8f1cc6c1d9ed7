"""Form: what a browser sends when a button is pressed, read strictly."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from rankspace.errors import InvalidInput, UnreadableInput

FIELDS = 8
LONGEST = 1_000
"""Characters of a value."""


@dataclass(frozen=True, slots=True)
class Form:
    """Attributes: the values by name, without white space around them."""

    values: Mapping[str, str]

    @classmethod
    def read(cls, raw: bytes) -> "Form":
        """Read an URL-encoded form.

        Raises:
            UnreadableInput: Not UTF-8, too many fields, or one of them given twice.
            InvalidInput: A value that is too long, or holds NUL.
        """
        try:
            found = parse_qs(raw.decode(), max_num_fields=FIELDS, errors="strict")
        except ValueError as error:
            raise UnreadableInput(
                "form", raw[:60], f"cannot be read: {error}", fix="use the page"
            ) from None
        for name, values in found.items():
            if len(values) > 1:
                raise UnreadableInput(name, values[:2], "is given twice", fix="give it once")
            if len(values[0]) > LONGEST or "\0" in values[0]:
                problem = f"has more than {LONGEST:,} characters, or NUL"
                raise InvalidInput(name, values[0], problem, fix="shorten it")
        return cls({name: values[0].strip() for name, values in found.items()})

    def text(self, name: str) -> str | None:
        """None where nothing was written."""
        return self.values.get(name) or None

    def number(self, name: str) -> int | None:
        """Likewise.

        Raises:
            InvalidInput: Something else than a whole number.
        """
        said = self.text(name)
        if said is None:
            return None
        if not said.isdecimal() or len(said) > 18:
            raise InvalidInput(
                name, said, "is no whole number", fix="write digits only, or nothing"
            )
        return int(said)

    def has(self, name: str) -> bool:
        """Whether a box is ticked."""
        return name in self.values
