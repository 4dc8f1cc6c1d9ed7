"""The front door: the command line and the Python client."""

from rankadaptor.rest.client import RestClient

__all__ = ["RestClient"]
