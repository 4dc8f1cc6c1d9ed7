"""The front door: the command line and the Python client."""

from rankadaptor.client import Client

__all__ = ["Client"]
