"""Options that several commands share."""

from typing import Annotated

import typer

from rankadaptor.client import Client
from rankadaptor.connection import Connection

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
Url = Annotated[
    str | None,
    typer.Option("--url", help="Address of the service [env RANKADAPTOR_URL].", show_default=False),
]
StudyId = Annotated[str, typer.Argument(metavar="STUDY", help="Id of the study.")]


def connect(url: str | None) -> Client:
    """Open the service named by the option, the environment or this machine's default."""
    connection = Connection()
    return Client(url or connection.url, connection.admin_key())
