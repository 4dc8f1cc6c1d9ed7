"""``rankadaptor serve``: the proposer, its database and the dashboard."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rankadaptor.screen import err


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (127.0.0.1).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (8731).")] = None,
    data_directory: Annotated[
        Path | None, typer.Option("--data", help="Database, keys and artifacts.")
    ] = None,
    lease_seconds: Annotated[
        float | None, typer.Option(help="How long a trial may go without a heartbeat (120).")
    ] = None,
    heartbeat_seconds: Annotated[
        float | None, typer.Option(help="How often workers renew their lease (a sixth of it).")
    ] = None,
) -> None:
    """Start the service; every option is also a variable, RANKADAPTOR_HOST and so on."""
    from service.server import run
    from service.settings import Settings

    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "data_directory": data_directory,
        "lease_seconds": lease_seconds,
        "heartbeat_seconds": heartbeat_seconds,
    }
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    if err.is_terminal:
        err.print(_next_steps(settings.host, settings.port), style="dim")
    run(settings)


def _next_steps(host: str, port: int) -> str:
    return (
        f"RankAdaptor will listen on http://{host}:{port}; Ctrl-C ends it, and loses nothing.\n"
        "In other terminals: rankadaptor worker, rankadaptor submit study.yaml, "
        "rankadaptor dashboard"
    )
