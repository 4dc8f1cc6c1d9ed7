"""Alembic's entry: the engine comes from service.schema, or from alembic.ini for people."""

from alembic import context
from sqlalchemy import Engine, create_engine

from service.tables import Base


def _engine() -> Engine:
    given = context.config.attributes.get("engine")
    if isinstance(given, Engine):
        return given
    return create_engine(context.config.get_main_option("sqlalchemy.url") or "")


with _engine().execution_options(writes=True).connect() as connection:
    if connection.dialect.name == "postgresql":  # a long history takes its time
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
