"""Which addresses are this machine's own service: its keys go nowhere else unasked."""

import ipaddress
from pathlib import Path

import httpx

from rankspace.errors import InvalidInput

NOTED = "ports"  # in the data directory; `serve` writes it, a number a line
USUAL = 8731
_PORTS = {"http": 80, "https": 443}


def address_of(url: str) -> httpx.URL:
    """Read ``url`` as the client will that connects to it.

    Raises:
        InvalidInput: It is no http or https address.
    """
    fix = "give an address such as http://127.0.0.1:8731 in --url or RANKADAPTOR_URL"
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidInput("url", url, str(error), fix=fix) from error
    if address.scheme not in _PORTS or not address.host:
        raise InvalidInput("url", url, "is no http or https address", fix=fix)
    return address


def is_local(url: str, data_directory: Path) -> bool:
    """Tell whether a service of ``data_directory`` is what listens at ``url``, if anything does.

    Other loopback ports may be somebody else's program, or the end of a tunnel.
    """
    address = address_of(url)
    port = address.port or _PORTS[address.scheme]
    return is_loopback(address.host) and port in ports(data_directory)


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def ports(data_directory: Path) -> frozenset[int]:
    """Ports that services of ``data_directory`` noted; one of a version before noted none."""
    try:
        text = (data_directory / NOTED).read_text(encoding="ascii", errors="replace")
    except OSError:
        text = ""
    numbers = (line for line in text.split() if line.isdecimal() and len(line) <= 5)
    return frozenset(map(int, numbers)) or frozenset({USUAL})
