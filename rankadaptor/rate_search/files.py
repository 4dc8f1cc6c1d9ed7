"""The files of a search: the rates, every evaluation, every call of a model."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rankadaptor.beginning.new_file import write_new
from rankspace.errors import InvalidInput

FIELD = "target"


@dataclass(frozen=True, slots=True)
class SearchFiles:
    """Where they lie, side by side.

    Attributes:
        target: The rates, for ``compress --rates``.
    """

    target: Path

    @property
    def record(self) -> Path:
        """Evaluations."""
        return self.target.with_name(f"{self.target.name}.record.jsonl")

    @property
    def calls(self) -> Path:
        """Calls of a language model."""
        return self.target.with_name(f"{self.target.name}.calls.jsonl")

    def check(self) -> None:
        """Check, before any work, that they can be written and nothing of others is lost.

        Raises:
            InvalidInput: They cannot, or the target is there without a record it came from.
        """
        if self.target.is_dir():
            fix = "give the name of a file in it"
            raise InvalidInput(FIELD, str(self.target), "is a directory", fix=fix)
        if not self.target.parent.is_dir():
            problem = f"there is no directory {self.target.parent}"
            fix = "make it first, or give another name"
            raise InvalidInput(FIELD, str(self.target), problem, fix=fix)
        if self.target.exists() and not self.record.exists():
            problem, fix = (
                "is there already, and no record of a search beside it",
                "give another name",
            )
            raise InvalidInput(FIELD, str(self.target), problem, fix=fix)

    def write(self, document: dict[str, Any]) -> None:
        """Write the rates, complete or not at all."""
        text = json.dumps(document, indent=1, allow_nan=False) + "\n"
        write_new(self.target, text, lambda _: None, force=True)
