"""One memory of compiled statements for all databases of a kind: SQLAlchemy keeps one an engine.

Each test has an engine of its own, and to compile a statement takes longer than to run it: most
tests ask for less often what was compiled than for what was not.
"""

from collections import defaultdict
from typing import Any

from service.storage.db import Database


class Compiled(dict[Any, Any]):
    """By statement, whichever engine compiled it: a key begins with the dialect, one an engine."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(key[1:], default)

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key[1:], value)


_KNOWN: defaultdict[str, Compiled] = defaultdict(Compiled)


def share(database: Database) -> None:
    """Have ``database`` use what those before it compiled."""
    for engine in (database.engine, database._reader, database._writer):
        engine._compiled_cache = _KNOWN[engine.name]
