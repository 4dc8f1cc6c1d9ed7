"""Schema 0012 keeps what was submitted, and gives it back to services of before."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from rankspace.recipe import Data, Inputs, Recipe
from rankspace.study import Control, Extension, StrategyName, Study, Survey, Verify
from service.storage import schema
from service.storage.db import Database
from service.storage.documents import present_study, read_request, write_request
from service.storage.older_form import read_older, write_older
from tests.services import Postgres
from tests.waiting import wait_for

PLAIN = Study("s", "/m", Recipe(Data("t.jsonl")))
LATER = replace(
    PLAIN,
    search=replace(PLAIN.search, strategy=StrategyName.BLEND),
    verify=Verify(margin=0.5, least_gain=0.25, controls=(Control.O_PROJ,), rates=(3.0,)),
    inputs=Inputs("a" * 64),
    paper="paper-1",
)
SURVEYED = replace(PLAIN, search=replace(PLAIN.search, survey=Survey()))
EXTENDED = replace(LATER.extended(Extension(5, 20)), inputs=Inputs("a" * 64, "b" * 64, 2))

MODEL = (
    "INSERT INTO models (id, fingerprint, path, document, created_at, project) "
    "VALUES ('md', 'f', '/m', '{}', 1.0, 'default')"
)
STUDY = (
    "INSERT INTO studies (id, project, model_id, model_path, name, document, submitted, space, "
    "state, stage, retries, created_at) VALUES (:id, 'default', 'md', '/m', 's', :document, "
    ":submitted, '{}', 'done', 'done', 0, 1.0)"
)
OF_POSTGRES = ["postgresql"]


@pytest.fixture(params=["sqlite", *OF_POSTGRES])
def before(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of schema 0011 with a model."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'before.sqlite'}")
    else:
        database = Database(request.getfixturevalue("postgres").create("before"))
    command.upgrade(schema.configuration(database.engine), "0011")
    with database.engine.begin() as connection:
        connection.execute(text(MODEL))
    yield database
    database.close()
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        postgres.drop("before")


def forgotten(study: Study) -> str:
    """As a service of schema 0009 rewrites it: by hand, after what that release wrote."""
    packed = json.loads(write_older(study))
    return json.dumps({name: packed[name] for name in ("wire", "value", "inputs")})


def add(database: Database, **documents: tuple[str, str | None]) -> None:
    with database.engine.begin() as connection:
        for name, (document, submitted) in documents.items():
            values = {"id": name, "document": document, "submitted": submitted}
            connection.execute(text(STUDY), values)


def stored(database: Database, name: str, columns: str = "request, document") -> tuple[Any, ...]:
    with database.engine.connect() as connection:
        found = text(f"SELECT {columns} FROM studies WHERE id = :id")
        return tuple(connection.execute(found, {"id": name}).one())


@pytest.mark.parametrize("study", [PLAIN, LATER, SURVEYED])
def test_what_was_submitted_is_what_would_be_stored_today(before: Database, study: Study) -> None:
    add(before, st=(write_older(study), None))
    schema.upgrade(before)
    request, document = stored(before, "st")
    assert json.loads(request) == json.loads(write_request(study))
    assert document == write_older(study)


def test_a_study_of_before_anything_came_later_is_judged_as_it_was(before: Database) -> None:
    document = json.loads(write_older(PLAIN))
    add(before, st=(json.dumps({name: document[name] for name in ("wire", "value")}), None))
    schema.upgrade(before)
    expected = json.loads(write_request(PLAIN))
    del expected["value"]["inputs"]
    assert json.loads(stored(before, "st")[0]) == expected
    assert present_study(*stored(before, "st")) == PLAIN


def test_what_a_service_of_before_took_from_an_extended_study_comes_back(before: Database) -> None:
    add(before, st=(forgotten(EXTENDED), write_older(LATER)))
    schema.upgrade(before)
    request, document = stored(before, "st")
    assert read_request(request) == LATER
    assert present_study(request, document) == EXTENDED


def test_what_is_no_study_stays_as_it_is(before: Database) -> None:
    add(before, st=("{}", None))
    schema.upgrade(before)
    assert stored(before, "st") == (None, "{}")


def test_services_of_before_get_back_what_they_have_lost(before: Database) -> None:
    """A downgrade; and another upgrade finds the same."""
    config = schema.configuration(before.engine)
    add(before, st=(write_older(LATER), write_older(LATER)), plain=(write_older(PLAIN), None))
    schema.upgrade(before)
    with before.engine.begin() as connection:
        rewrite = text("UPDATE studies SET document = :document WHERE id = 'st'")
        connection.execute(rewrite, {"document": forgotten(EXTENDED)})
    kept = stored(before, "st")[0]
    command.downgrade(config, "0011")
    document, submitted = stored(before, "st", "document, submitted")
    assert json.loads(document) == json.loads(write_older(EXTENDED))
    assert read_older(submitted) == LATER
    assert stored(before, "plain", "document, submitted") == (write_older(PLAIN), None)
    command.upgrade(config, "head")
    request, document = stored(before, "st")
    assert json.loads(request) == json.loads(kept)
    assert present_study(request, document) == EXTENDED


def test_a_study_that_a_service_of_before_stored_stays_in_its_form(before: Database) -> None:
    config = schema.configuration(before.engine)
    schema.upgrade(before)
    add(before, st=(forgotten(PLAIN), None))
    command.downgrade(config, "0011")
    assert stored(before, "st", "document") == (forgotten(PLAIN),)


def test_studies_whose_verdict_may_be_judged_by_less_than_was_submitted_are_named(
    before: Database, caplog: pytest.LogCaptureFixture
) -> None:
    lost, whole = forgotten(LATER), write_older(LATER)
    add(before, lost=(lost, None), back=(lost, whole), whole=(whole, None), over=(lost, None))
    with before.engine.begin() as connection:
        under_way = "UPDATE studies SET state = 'searching' WHERE id <> 'over'"
        connection.execute(text(under_way))
    schema.upgrade(before)
    (said,) = (one.getMessage() for one in caplog.records if one.levelname == "WARNING")
    assert said.startswith("1 studies that are not over")
    assert said.endswith(": lost")


def test_nothing_is_said_where_nothing_can_be_lost(
    before: Database, caplog: pytest.LogCaptureFixture
) -> None:
    add(before, whole=(write_older(LATER), None))
    with before.engine.begin() as connection:
        connection.execute(text("UPDATE studies SET state = 'searching'"))
    schema.upgrade(before)
    assert [one for one in caplog.records if one.levelname == "WARNING"] == []


@pytest.mark.parametrize("before", OF_POSTGRES, indirect=True)
def test_a_downgrade_waits_for_whoever_writes_to_a_study(before: Database) -> None:
    """SQLite has one writer anyway."""
    schema.upgrade(before)
    add(before, st=(write_older(LATER), write_older(LATER)))
    request = text("UPDATE studies SET request = :request")
    with before.engine.begin() as connection:
        connection.execute(request, {"request": write_request(LATER)})
    with ThreadPoolExecutor(1) as pool:
        with before.engine.begin() as connection:
            extend = text("UPDATE studies SET document = :document")
            connection.execute(extend, {"document": write_older(EXTENDED)})
            config = schema.configuration(before.engine)
            downgrade = pool.submit(command.downgrade, config, "0011")
            wait_for(lambda: _waits(before))
        downgrade.result()
    (document,) = stored(before, "st", "document")
    assert read_older(document) == EXTENDED


def _waits(database: Database) -> bool:
    """Whether anybody waits for a lock."""
    with database.engine.connect() as connection:
        return bool(connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))
