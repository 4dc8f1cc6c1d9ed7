"""The migrations make the tables, keep what was there, and refuse what they do not know."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, inspect, text

from rankspace import RankVector
from rankspace.errors import UnsupportedVersion
from service.storage import schema
from service.storage.db import Database
from service.storage.tables import (
    ArtifactRow,
    AttemptRow,
    Base,
    FitRow,
    KeyRow,
    ModelRow,
    ObservationRow,
    StudyRow,
    TrialRow,
)
from tests.services import Postgres
from tests.unit.service.driver import DATABASE_URL, start


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(f"sqlite:///{tmp_path / 'test.sqlite'}")


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of either kind."""
    if request.param == "sqlite":
        yield Database(f"sqlite:///{tmp_path / 'either.sqlite'}")
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    database = Database(postgres.create("schema"))
    yield database
    database.close()
    postgres.drop("schema")


def test_migrations_make_exactly_the_tables(either: Database) -> None:
    database = either
    schema.upgrade(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    database.close()


def test_up_down_up(either: Database) -> None:
    database = either
    config = schema.configuration(database.engine)
    command.upgrade(config, "head")
    command.downgrade(config, "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    command.upgrade(config, "head")
    assert schema.is_current(database)
    database.close()


def test_programs_that_migrate_at_once_take_turns(postgres: Postgres) -> None:
    url = postgres.create("race")

    def migrate(_: int) -> bool:
        database = Database(url, connections=2)
        schema.upgrade(database)
        current = schema.is_current(database)
        database.close()
        return current

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(migrate, range(4))) == [True] * 4
    postgres.drop("race")


def test_a_shared_database_is_not_migrated_by_serving(postgres: Postgres, tmp_path: Path) -> None:
    (tmp_path / DATABASE_URL).write_text(postgres.create("unmigrated"))
    with pytest.raises(UnsupportedVersion, match="schema none") as refused, start(tmp_path).client:
        pass
    assert refused.value.hint == "run: rankadaptor db upgrade"
    postgres.drop("unmigrated")


def test_a_pending_migration_copies_the_file_first(database: Database, tmp_path: Path) -> None:
    command.upgrade(schema.configuration(database.engine), "0001")
    with database.engine.begin() as connection:
        connection.execute(text("INSERT INTO workers VALUES ('old', 1.0, 1.0)"))
    schema.upgrade(database)
    assert schema.is_current(database)
    copy = sqlite3.connect(tmp_path / "test.sqlite.before-0001")
    assert copy.execute("SELECT name FROM workers").fetchall() == [("old",)]
    copy.close()
    database.close()


def test_studies_of_the_first_schema_keep_their_model_s_path(database: Database) -> None:
    command.upgrade(schema.configuration(database.engine), "0001")
    with database.engine.begin() as connection:
        connection.execute(text("INSERT INTO models VALUES ('md', 'f', '/model', '{}', 1.0)"))
        connection.execute(
            text(
                "INSERT INTO studies (id, model_id, name, document, space, state, stage, retries, "
                "created_at) VALUES ('st', 'md', 'x', '{}', '{}', 'done', 'done', 0, 1.0)"
            )
        )
    schema.upgrade(database)
    with database.engine.connect() as connection:
        assert connection.scalar(text("SELECT model_path FROM studies")) == "/model"
    database.close()


STUDY = (
    "INSERT INTO studies (id, model_id, model_path, name, document, space, state, stage, retries, "
    "created_at) VALUES ('st', 'md', '/model', 'x', '{}', '{}', 'searching', 'searching', 0, 1.0)"
)


def test_studies_of_the_second_schema_keep_what_their_offers_rest_on(database: Database) -> None:
    config = schema.configuration(database.engine)
    command.upgrade(config, "0002")
    with database.engine.begin() as connection:
        connection.execute(text("INSERT INTO models VALUES ('md', 'f', '/model', '{}', 1.0)"))
        connection.execute(text(STUDY))
        connection.execute(text("INSERT INTO model_states VALUES ('st', 17, x'00')"))
    schema.upgrade(database)
    with database.engine.connect() as connection:
        assert connection.scalar(text("SELECT results FROM watermarks")) == 17
        assert connection.execute(text("SELECT context, belief FROM studies")).one() == (None, None)
    command.downgrade(config, "0002")
    with database.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM model_states")) == 0
        assert connection.scalar(text("SELECT name FROM studies")) == "x"
    database.close()


EARLIER = (
    "INSERT INTO models VALUES ('md', 'f', '/model', '{}', 1.0)",
    STUDY,
    "UPDATE studies SET idempotency_key = 'k'",
    "INSERT INTO trials (id, study_id, purpose, proposed, rank_vector, seed, steps, epochs, split, "
    "keep_adapter, priority, reason, state, token, expiries, created_at) VALUES "
    "(7, 'st', 'search', 1, '[1]', 0, 1, 0, 'selection', 0, 0, '', 'queued', 0, 0, 1.0)",
    "INSERT INTO api_keys VALUES ('aaaaaaaa', 'd', 'admin', 1.0, NULL, 'first')",
    "INSERT INTO login_sessions VALUES ('s', 9e9)",
)


def test_what_was_there_before_projects_is_in_the_default_one(database: Database) -> None:
    config = schema.configuration(database.engine)
    command.upgrade(config, "0003")
    with database.engine.begin() as connection:
        for statement in EARLIER:
            connection.execute(text(statement))
    schema.upgrade(database)
    with database.engine.connect() as connection:
        for table in ("models", "studies"):
            assert connection.scalar(text(f"SELECT project FROM {table}")) == "default"
        assert connection.scalar(text("SELECT project FROM api_keys")) == "*"
        assert connection.scalar(text("SELECT id FROM trials")) == 7  # nothing cascaded
        assert connection.scalar(text("SELECT count(*) FROM login_sessions")) == 0
        assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
        assert connection.scalar(text("PRAGMA foreign_keys")) == 1
    database.close()


def test_the_program_before_projects_gets_no_key_it_would_let_too_far(database: Database) -> None:
    config = schema.configuration(database.engine)
    schema.upgrade(database)
    keys: list[tuple[Any, ...]] = [
        ("a", "admin", "*", None),
        ("b", "admin", "x", None),
        ("c", "member", "x", None),
    ]
    keys += [("d", "worker", "*", 9e9), ("e", "worker", "*", None)]
    with database.engine.begin() as connection:
        for key in keys:
            row = dict(zip(("id", "role", "project", "expires_at"), key, strict=True))
            connection.execute(insert(KeyRow).values(digest="d", name="", **row))
        for project in ("default", "other"):
            model = {"id": project, "project": project, "fingerprint": "f"}
            connection.execute(insert(ModelRow).values(path="/m", document="{}", **model))
    command.downgrade(config, "0003")
    with database.engine.connect() as connection:
        left = connection.scalars(text("SELECT id FROM api_keys ORDER BY id"))
        assert left.all() == ["a", "e"]
        assert connection.scalars(text("SELECT fingerprint FROM models ORDER BY id")).all() == [
            "f",
            "f:other",
        ]
    database.close()


def test_the_program_before_join_tokens_goes_on_and_gets_no_bound_key(either: Database) -> None:
    config = schema.configuration(either.engine)
    schema.upgrade(either)
    with either.engine.begin() as connection:
        for statement in (
            "INSERT INTO workers (name, first_seen, last_seen) VALUES ('w', 1.0, 1.0)",
            "INSERT INTO api_keys (id, digest, role, name, project, created_at) "
            "VALUES ('free', 'd', 'worker', '', '*', 1.0)",
        ):
            connection.execute(text(statement))
        bound = {"id": "bound", "digest": "d", "role": "worker", "name": "", "project": "*"}
        connection.execute(insert(KeyRow).values(**bound, worker="w"))
        found = connection.execute(text("SELECT project, refusals, quarantined_at FROM workers"))
        assert found.one() == ("*", 0, None)
    command.downgrade(config, "0005")
    with either.engine.connect() as connection:
        assert connection.scalars(text("SELECT id FROM api_keys")).all() == ["free"]
        assert connection.scalar(text("SELECT name FROM workers")) == "w"


def test_the_program_before_surveys_searches_where_one_was_asked_for(either: Database) -> None:
    """Its parser refuses the field, and it knows neither the stage nor the purpose."""
    config = schema.configuration(either.engine)
    schema.upgrade(either)
    asked = '{"wire":1,"value":{"search":{"seed":0,"survey":{"steps":4,"vectors":2}}}}'
    with either.engine.begin() as connection:
        model = {"id": "m", "project": "default", "fingerprint": "f", "path": "/m"}
        connection.execute(insert(ModelRow).values(**model, document="{}"))
        row = {"id": "st", "model_id": "m", "model_path": "/m", "name": "n", "space": "{}"}
        row |= {"document": asked, "state": "paused", "stage": "surveying"}
        connection.execute(insert(StudyRow).values(**row))
        trial = {"study_id": "st", "purpose": "survey", "proposed": False, "seed": 0, "steps": 4}
        trial |= {"epochs": 0, "split": "selection", "keep_adapter": True, "state": "queued"}
        made = insert(TrialRow).values(**trial, rank_vector=RankVector((1,)))
        mine = {"trial_id": connection.scalar(made.returning(TrialRow.id)), "token": 1}
        connection.execute(insert(AttemptRow).values(**mine, worker="w", outcome="done"))
        scored = {"study_id": "st", "sequence": 1, "score": -1.0}
        connection.execute(insert(ObservationRow).values(**mine, **scored))
        weights = {"name": "adapter_model.safetensors", "bytes": 1, "sha256": "0"}
        connection.execute(insert(ArtifactRow).values(**mine, **weights))
        connection.execute(insert(FitRow).values(study_id="st", content=b"of the survey"))
    command.downgrade(config, "0009")
    with either.engine.connect() as connection:
        found = connection.execute(text("SELECT state, stage, document FROM studies")).one()
        assert found == ("paused", "searching", '{"wire":1,"value":{"search":{"seed":0}}}')
        for table in ("trials", "attempts", "observations", "artifacts", "fits"):
            left = connection.scalar(text(f"SELECT count(*) FROM {table}"))
            assert (table, left) == (table, 0)


def test_a_database_of_a_newer_program_is_refused(database: Database) -> None:
    schema.upgrade(database)
    with database.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(UnsupportedVersion, match="9999"):
        schema.upgrade(database)
    database.close()


@pytest.mark.synced
def test_sqlite_is_set_up_for_durability(database: Database) -> None:
    with database.engine.connect() as connection:
        read = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
        }
    assert read == {
        "journal_mode": "wal",
        "busy_timeout": 10_000,
        "foreign_keys": 1,
        "synchronous": 2,
    }
    database.close()


RATES = (
    "INSERT INTO models (id, fingerprint, path, document, created_at, project) "
    "VALUES ('md', 'f', '/model', '{}', 1.0, 'default')",
    "INSERT INTO studies (id, project, model_id, model_path, name, document, space, state, stage, "
    "retries, created_at, verdict, answer) VALUES ('st', 'default', 'md', '/model', 'x', '{}', "
    "'{}', 'done', 'done', 0, 1.0, '{\"trials\": 4}', '{\"trials\": 4, \"luck\": 1.0}')",
    *(
        "INSERT INTO trials (id, study_id, purpose, proposed, rank_vector, seed, steps, epochs, "
        "split, keep_adapter, priority, reason, state, token, expiries, created_at, rate) VALUES "
        f"({trial}, 'st', 'verify', {{false}}, '[1]', 9, 1, 0, 'final', {{false}}, 1, '', "
        f"'{state}', 1, 0, 1.0, {rate})"
        for trial, state, rate in ((1, "done", 1), (2, "done", 3), (3, "queued", 3))
    ),
    *(
        "INSERT INTO observations (trial_id, study_id, sequence, token, score, created_at) "
        f"VALUES ({trial}, 'st', {trial}, 1, -1.0, 1.0)"
        for trial in (1, 2)
    ),
)


def test_the_program_before_rates_takes_no_score_of_another_rate_for_one_of_the_recipe_s(
    either: Database,
) -> None:
    config = schema.configuration(either.engine)
    schema.upgrade(either)
    false = "0" if either.engine.dialect.name == "sqlite" else "false"
    with either.engine.begin() as connection:
        for statement in RATES:
            connection.exec_driver_sql(statement.replace("{false}", false))
    command.downgrade(config, "0009")
    with either.engine.connect() as connection:
        assert connection.scalars(text("SELECT trial_id FROM observations")).all() == [1]
        states = connection.scalars(text("SELECT state FROM trials ORDER BY id")).all()
        assert states == ["done", "cancelled", "cancelled"]
        assert "luck" not in str(connection.scalar(text("SELECT verdict FROM studies")))
    command.upgrade(config, "head")
    with either.engine.connect() as connection:
        assert connection.scalars(text("SELECT rate FROM trials")).all() == [1.0] * 3
    either.close()
