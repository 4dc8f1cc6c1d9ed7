"""One memory of compiled statements for all databases of a kind: SQLAlchemy keeps one an engine.

Each test has an engine of its own, and to compile a statement takes longer than to run it: most
tests ask for less often what was compiled than for what was not.
"""

from typing import Any

from service.storage.db import Database
from service.storage.tables import Base


class Compiled(dict[Any, Any]):
    """By statement and kind of database, whichever engine compiled it.

    A key begins with the dialect, an object that each engine has of its own.
    """

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get(_of_all(key), default)

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(_of_all(key))

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(_of_all(key), value)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(_of_all(key))


def _of_all(key: Any) -> tuple[Any, ...]:
    dialect, *statement = key
    return (dialect.name, *statement)


_KNOWN = Compiled()


def share(database: Database) -> None:
    """Have ``database`` use what those before it compiled, of rows that are added too."""
    for engine in (database.engine, database._reader, database._writer):
        engine._compiled_cache = _KNOWN
    for mapper in Base.registry.mappers:
        mapper.__dict__.setdefault("_compiled_cache", Compiled())
