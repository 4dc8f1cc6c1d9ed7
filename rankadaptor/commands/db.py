"""``rankadaptor db``: the operator's side of the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankadaptor.screen import out
from rankspace.errors import Conflict

if TYPE_CHECKING:
    from service.storage.db import Database

app = typer.Typer(
    no_args_is_help=True, help="Upgrade, check, back up and restore the service's database."
)

Url = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        help="sqlite:///FILE or postgresql://…; one with a password: RANKADAPTOR_DATABASE_URL.",
    ),
]
File = Annotated[Path, typer.Argument(help="A file that ends in .jsonl.gz.")]


Stopped = Annotated[
    bool,
    typer.Option(
        "--services-stopped",
        help="No service runs on a database of before schema 0010, which is upgraded only then.",
    ),
]

RULES_OF_TODAY = "0010"
"""Schema from which on a service knows the rates of trials and the seeds of verifications."""


@app.command()
def upgrade(database_url: Url = None, services_stopped: Stopped = False) -> None:
    """Bring the schema to this program's; workers go on meanwhile.

    Services of schema 0011 and later go on until they are replaced; one of 0010 cannot read studies
    with a survey. Those of before 0010 are stopped first.
    """
    from service.storage import schema

    with _database(database_url) as database:
        before = schema.revision(database)
        if before is not None and not services_stopped:
            _check_rules(before)
        schema.upgrade(database)
        out.print(f"schema {before or 'none'} -> {schema.revision(database)}")


@app.command()
def check(database_url: Url = None) -> None:
    """End with 0 if the schema is this program's."""
    from service.storage import schema

    with _database(database_url) as database:
        schema.check(database)
        out.print(f"schema {schema.revision(database)} is current")


@app.command()
def backup(file: File, database_url: Url = None) -> None:
    """Write one consistent snapshot; the service may go on."""
    from service.storage import backup as backups

    with _database(database_url) as database:
        _tell(backups.backup(database, file), f"written to {file}")


@app.command()
def restore(file: File, database_url: Url = None) -> None:
    """Fill an empty database of either kind; workers of before are fenced out.

    Keys revoked since the backup are valid again: revoke them anew.
    """
    from service.access.keys import Keys
    from service.storage import backup as backups

    with _database(database_url) as database:
        _tell(backups.restore(database, file), "restored")
        with database.reading() as session:
            live = Keys(session).count_live()
    out.print(
        f"{live:,} keys are valid, those revoked since the backup among them;\n"
        "to see and revoke them: rankadaptor keys list, rankadaptor keys revoke ID"
    )


@contextmanager
def _database(url: str | None) -> Iterator["Database"]:
    from service.settings import Settings
    from service.storage.db import Database
    from service.storage.private_files import owner_only

    settings = Settings(database_url=url) if url else Settings()
    with owner_only():
        settings.data_directory.mkdir(parents=True, exist_ok=True)
        database = Database(settings.url(), connections=2)
        try:
            yield database
        finally:
            database.close()


def _check_rules(schema: str) -> None:
    """Refuse to change the schema under services that go by other rules.

    Raises:
        Conflict: Those of ``schema`` do.
    """
    if schema < RULES_OF_TODAY:
        raise Conflict(
            f"the database has schema {schema}: beside services of this version, those of that one "
            "would run trials of verify.rates at the recipe's learning rate, plan verifications on "
            "other seeds and rewrite studies without what they do not know",
            hint="stop them, then run: rankadaptor db upgrade --services-stopped",
        )


def _tell(counts: dict[str, int], what: str) -> None:
    rows = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    out.print(f"{what}: {rows or 'no rows'}")
