"""Neighbours: which addresses are one caller's, as far as anybody can tell."""

import ipaddress
from functools import lru_cache

SUBSCRIBER_BITS = 64
"""Of an IPv6 address: whoever has one has all that begin so."""


@lru_cache(maxsize=4096)
def neighbourhood(address: str) -> str:
    """Return what ``address`` is counted under: itself, or of IPv6 the network of its owner."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, ipaddress.IPv6Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    network = int(found) >> SUBSCRIBER_BITS << SUBSCRIBER_BITS
    return f"{ipaddress.IPv6Address(network)}/{SUBSCRIBER_BITS}"
