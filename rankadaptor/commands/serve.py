"""``rankadaptor serve``: the proposer, its database and the dashboard."""

from pathlib import Path
from typing import Annotated, Any

import typer


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [8731].")] = None,
    data_directory: Annotated[
        Path | None, typer.Option("--data", help="Database, keys and artifacts.")
    ] = None,
    lease_seconds: Annotated[
        float | None, typer.Option(help="How long a trial may go without a heartbeat [120].")
    ] = None,
    heartbeat_seconds: Annotated[
        float | None, typer.Option(help="How often workers renew their lease [a sixth of it].")
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
    run(Settings(**{name: value for name, value in given.items() if value is not None}))
