"""Inserting what somebody else may be inserting at the same moment."""

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert_new(session: Session, table: Table, **values: Any) -> None:
    """Insert a row unless one with its primary key is there."""
    is_postgresql = session.get_bind().dialect.name == "postgresql"
    statement = postgresql.insert(table) if is_postgresql else sqlite.insert(table)
    session.execute(statement.on_conflict_do_nothing(), values)
