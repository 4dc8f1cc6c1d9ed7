"""Options that several commands share."""

from typing import Annotated

import typer
from rich.text import Text

from rankadaptor.connection import Connection
from rankadaptor.local_service import address_of, is_loopback
from rankadaptor.rest.client import RestClient
from rankadaptor.screen import err
from rankspace.errors import InvalidInput

Json = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
Url = Annotated[
    str | None,
    typer.Option("--url", help="Address of the service (RANKADAPTOR_URL).", show_default=False),
]
DTYPES = ("float32", "float16", "bfloat16")
"""Types of weights that are written."""

StudyId = Annotated[str, typer.Argument(metavar="STUDY", help="Id of the study.")]


def check_dtype(dtype: str) -> str:
    """Return ``dtype``, the name of a type in torch.

    Raises:
        InvalidInput: Weights are not written in it.
    """
    if dtype not in DTYPES:
        raise InvalidInput("--dtype", dtype, "is no type of weights", fix=f"one of {list(DTYPES)}")
    return dtype


def connect(url: str | None, key: str | None = None) -> RestClient:
    """Open the service named by the option, the environment or this machine's default."""
    connection = Connection() if key is None else Connection(key=key)
    address = url or connection.url
    found = connection.admin_key(address)
    warn_of_plain_text(address)
    return RestClient(address, found)


def warn_of_plain_text(url: str) -> None:
    """Tell a person, not a script: networks of one's own without TLS are common."""
    address = address_of(url)
    if err.is_terminal and address.scheme == "http" and not is_loopback(address.host):
        err.print(Text(f"{url} is not https: others on the way can read the key", style="yellow"))
