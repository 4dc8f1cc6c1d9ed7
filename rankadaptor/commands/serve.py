"""``rankadaptor serve``: the proposer, its database and the dashboard."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankadaptor.connection import Connection
from rankadaptor.screen import err

if TYPE_CHECKING:
    from service.settings import Settings


_REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""From this machine, what listens on every address."""


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
    from service.allocation import nothing_collected

    with nothing_collected():
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
        err.print(_next_steps(settings), style="dim", soft_wrap=True)
    run(settings)


def _next_steps(settings: "Settings") -> str:
    host = _REACHED_AT.get(settings.host, settings.host)
    address = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    variables = _variables(address, settings.data_directory.absolute())
    first = f"export {variables}; then " if variables else ""
    return (
        f"RankAdaptor will listen on http://{settings.host}:{settings.port}; Ctrl-C ends it, and "
        "loses nothing.\n"
        f"In other terminals: {first}rankadaptor worker, rankadaptor submit study.yaml, "
        "rankadaptor dashboard"
    )


def _variables(address: str, data_directory: Path) -> str:
    """What other commands on this machine must be told: nothing, if all is as usual."""
    usual = Connection.model_fields
    needed = {"url": address, "data_directory": data_directory}
    return " ".join(
        f"RANKADAPTOR_{name.upper()}={shlex.quote(str(value))}"
        for name, value in needed.items()
        if value != usual[name].default
    )
