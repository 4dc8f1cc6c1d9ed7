"""Alembic's entry: the engine comes from service.storage.schema, or from alembic.ini for people."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from sqlalchemy import Connection, Engine, create_engine

from service.storage.tables import Base


def _engine() -> Engine:
    given = context.config.attributes.get("engine")
    if isinstance(given, Engine):
        return given
    return create_engine(context.config.get_main_option("sqlalchemy.url") or "")


@contextmanager
def _unlinked(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by making it anew; dropping the old one must not cascade.

    The pragma does nothing inside a transaction, so it is set on the driver's connection.
    """
    driver = connection.connection.driver_connection
    if connection.dialect.name != "sqlite" or driver is None:
        yield
        return
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys=ON")


with _engine().execution_options(writes=True).connect() as connection:
    if connection.dialect.name == "postgresql":  # a long history takes its time
        connection.exec_driver_sql("SET statement_timeout = 0")
        # Who waits for a whole table holds up everybody behind it: better to try again.
        connection.exec_driver_sql("SET lock_timeout = '2s'")
        connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_type=True,
        transaction_per_migration=True,
    )
    with _unlinked(connection), context.begin_transaction():
        context.run_migrations()
