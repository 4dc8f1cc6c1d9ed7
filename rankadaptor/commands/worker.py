"""``rankadaptor worker``: run trials on this machine."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rankadaptor.commands.options import Url, warn_of_plain_text
from rankadaptor.connection import Connection
from rankspace.errors import InvalidInput


def worker(
    url: Url = None,
    key_file: Annotated[
        Path | None, typer.Option(help="File with a worker's key (RANKADAPTOR_KEY_FILE).")
    ] = None,
    join_token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with a join token, for the first start of a worker with a --name "
            "(RANKADAPTOR_JOIN_TOKEN_FILE, or the token itself in RANKADAPTOR_JOIN_TOKEN)."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of this worker; unique (RANKADAPTOR_WORKER).")
    ] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda (auto).")] = None,
    cpu_threads: Annotated[int | None, typer.Option(help="Threads on a CPU.")] = None,
    max_trials: Annotated[int | None, typer.Option(help="Leave after so many trials.")] = None,
    until_idle_seconds: Annotated[
        float | None, typer.Option(help="Leave after so long without work.")
    ] = None,
) -> None:
    """Run trials until told to stop; one process per GPU."""
    from service.allocation import nothing_collected

    with nothing_collected():
        from worker.run import run
        from worker.settings import Settings

    given: dict[str, Any] = {
        "url": url,
        "key_file": key_file,
        "join_token_file": join_token_file,
        "worker": name,
        "device": device,
        "cpu_threads": cpu_threads,
        "max_trials": max_trials,
        "until_idle_seconds": until_idle_seconds,
    }
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    connection = Connection()
    local = connection.local_file("worker.key", settings.url)
    warn_of_plain_text(settings.url)
    try:
        raise typer.Exit(run(settings, local))
    except InvalidInput as error:
        if error.field != "key" or error.value is not None:
            raise
        why, hint = connection.lacking("worker.key", settings.url, error.hint)
        raise InvalidInput("key", None, f"is missing; {why}", fix=hint) from error
