"""Scope: how far a caller sees. Every query on behalf of one is bounded by it."""

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, true

from rankspace.errors import InvalidInput

ALL = "*"
DEFAULT_PROJECT = "default"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Scope:
    """One project, or all of them."""

    project: str = ALL

    @property
    def is_everything(self) -> bool:
        return self.project == ALL

    def admits(self, project: str) -> bool:
        return self.is_everything or project == self.project

    def bounds(self, column: Any) -> ColumnElement[bool]:
        """The condition that keeps a query within: ``column`` is the rows' project."""
        return true() if self.is_everything else column == self.project


EVERYTHING = Scope()


def check_project(name: str) -> None:
    """Refuse what cannot name a project.

    Raises:
        InvalidInput: Not 1 to 63 small letters, digits, dots, dashes or underscores.
    """
    if not _NAME.fullmatch(name):
        problem = "must be 1 to 63 of a-z, 0-9, dot, dash, underscore, and begin with a-z or 0-9"
        raise InvalidInput("project", name, problem, fix=f"use a name like {DEFAULT_PROJECT!r}")
