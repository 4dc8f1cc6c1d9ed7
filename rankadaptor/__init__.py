"""The front door: the command line and the Python client."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rankadaptor.notebook.client import Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    """Import the client when somebody asks for it: a command has no use for it."""
    if name == "Client":
        from rankadaptor.notebook.client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
