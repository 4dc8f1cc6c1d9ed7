"""Bring the database to the schema this program was written for."""

import sqlite3
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

import service
from rankspace.errors import UnsupportedVersion
from service.storage.db import Database

TRIES = 30
_DEADLOCK, _LOCKED = "40P01", "55P03"


def _is_passing(error: BaseException) -> bool:
    """Services that go on meanwhile take the same tables in other orders."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in (_DEADLOCK, _LOCKED)


_PATIENTLY = Retrying(
    retry=retry_if_exception(_is_passing),
    stop=stop_after_attempt(TRIES),
    wait=wait_random(0.05, 0.5),
    reraise=True,
)
"""Each migration is a transaction of its own, so another try goes on where the last one broke."""

_PACKAGE = Path(service.__file__).resolve().parent


def migrations() -> Path:
    """The folder of migrations: inside the installed package, or beside it in a checkout."""
    inside = _PACKAGE / "migrations"
    return inside if inside.is_dir() else _PACKAGE.parent / "migrations"


def configuration(engine: Engine) -> Config:
    """Alembic's settings for ``engine``, found from any working directory."""
    config = Config(attributes={"engine": engine})
    config.set_main_option("script_location", str(migrations()).replace("%", "%%"))
    return config


def upgrade(database: Database) -> None:
    """Run the pending migrations, one process at a time; a SQLite file is copied first.

    Raises:
        UnsupportedVersion: The database was written by a newer program.
    """
    with database.alone("migrate"):
        current = revision(database)
        if current == _head():
            return
        config = configuration(database.engine)
        if current is not None:
            _check_known(config, current)
            _copy_aside(database.engine, current)
        _PATIENTLY(command.upgrade, config, "head")


def check(database: Database) -> None:
    """Refuse to work with another schema than this program's.

    Raises:
        UnsupportedVersion: The database is older or newer.
    """
    current, head = revision(database), _head()
    if current == head:
        return
    _check_known(configuration(database.engine), current or "")
    raise UnsupportedVersion(
        f"the database has schema {current or 'none'}, this program needs {head}",
        hint="run: rankadaptor db upgrade",
    )


def is_current(database: Database) -> bool:
    return revision(database) == _head()


def revision(database: Database) -> str | None:
    """Identity of the last migration that ran; None for an empty database."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


@cache
def _head() -> str | None:
    """Identity of the newest migration; to find it, Alembic runs the files of all of them."""
    return ScriptDirectory(str(migrations())).get_current_head()


def _check_known(config: Config, revision: str) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision and revision not in known:
        raise UnsupportedVersion(
            f"the database has schema {revision!r}, which this program does not know",
            hint="start the version of rankadaptor that wrote it, or a newer one",
        )


def _copy_aside(engine: Engine, revision: str) -> None:
    path = engine.url.database
    if engine.dialect.name != "sqlite" or not path or path == ":memory:":
        return
    source, target = sqlite3.connect(path), sqlite3.connect(f"{path}.before-{revision}")
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()
