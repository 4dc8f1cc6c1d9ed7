"""Licence: under what the author of a model passes it on, as its card says."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pruning.container.manifest import CARD
from rankspace.redaction import as_markdown

_MOST_READ = 1 << 16
"""Characters of a card that are looked at; its first lines hold what is sought."""

_NOTHING = frozenset({"", "~", "null"})


@dataclass(frozen=True, slots=True)
class Licence:
    """Under what a model may be passed on, as its card says.

    Attributes:
        identifiers: As Hugging Face lists them, ``mit`` say; ``other`` for one with a name.
        name: Of one that is not listed; empty if none.
        link: To its text; empty if none.
    """

    identifiers: tuple[str, ...]
    name: str = ""
    link: str = ""

    @property
    def head(self) -> dict[str, Any]:
        """Fields at the head of a card, as Hugging Face reads them."""
        named = list(self.identifiers)
        told = {"license_name": self.name, "license_link": self.link}
        return {"license": named if len(named) > 1 else named[0]} | {
            field: text for field, text in told.items() if text
        }

    @property
    def markdown(self) -> str:
        """It in words, which show as they are."""
        is_beside = self.link and "://" not in self.link
        link = f"{self.link}, a file of the model that this was made of" if is_beside else self.link
        more = [text for text in (self.name, link) if text]
        words = ", ".join(self.identifiers) + (f" ({', '.join(more)})" if more else "")
        return as_markdown(words)


def licence_of(directory: Path) -> Licence | None:
    """Return the licence that the card in ``directory`` states; None if there is none."""
    stated = _head_of(directory / CARD)
    named = stated.get("license")
    listed = named if isinstance(named, list) else [named]
    identifiers = tuple(text for text in map(_text, listed) if text)
    if not identifiers:
        return None
    return Licence(
        identifiers, _text(stated.get("license_name")), _text(stated.get("license_link"))
    )


def _head_of(card: Path) -> Mapping[str, Any]:
    try:
        if not card.is_file():  # a pipe would be waited for
            return {}
        with card.open(encoding="utf-8-sig", errors="replace") as file:
            text = file.read(_MOST_READ).lstrip()  # Hugging Face, too, reads past empty lines
        head = text.removeprefix("---\n").split("\n---", 1)[0] if text.startswith("---\n") else ""
        # All that is read stays text: a date that is none does no harm.
        stated = yaml.load(head, yaml.BaseLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return {}
    return stated if isinstance(stated, dict) else {}


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) and value.strip() not in _NOTHING else ""
