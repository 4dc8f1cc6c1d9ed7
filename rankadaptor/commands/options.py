"""Options that several commands share."""

from typing import Annotated

import typer
from rich.text import Text

from rankadaptor.client import Client
from rankadaptor.connection import Connection
from rankadaptor.local_service import address_of, is_loopback
from rankadaptor.screen import err

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
Url = Annotated[
    str | None,
    typer.Option("--url", help="Address of the service (RANKADAPTOR_URL).", show_default=False),
]
StudyId = Annotated[str, typer.Argument(metavar="STUDY", help="Id of the study.")]


def connect(url: str | None) -> Client:
    """Open the service named by the option, the environment or this machine's default."""
    connection = Connection()
    address = url or connection.url
    key = connection.admin_key(address)
    warn_of_plain_text(address)
    return Client(address, key)


def warn_of_plain_text(url: str) -> None:
    """Tell a person, not a script: networks of one's own without TLS are common."""
    address = address_of(url)
    if err.is_terminal and address.scheme == "http" and not is_loopback(address.host):
        err.print(Text(f"{url} is not https: others on the way can read the key", style="yellow"))
