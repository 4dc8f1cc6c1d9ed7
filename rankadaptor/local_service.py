"""Which addresses are this machine's own service: its keys go nowhere else unasked."""

import ipaddress
import socket
from pathlib import Path

import httpx

from rankspace.errors import InvalidInput

NOTED = "ports"  # in the data directory; `serve` writes it, a number a line
USUAL = 8731
PROBE_SECONDS = 1.0
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
    return is_here(url) and _port(address_of(url)) in ports(data_directory)


def is_here(url: str) -> bool:
    """Tell whether ``url`` is an address of this machine that no other one reaches."""
    return is_loopback(address_of(url).host)


def is_open(url: str) -> bool:
    """Tell whether anything on this machine listens at ``url``; nothing is sent to it."""
    if not is_here(url):
        return False
    address = address_of(url)
    try:
        with socket.create_connection((address.host, _port(address)), PROBE_SECONDS):
            return True
    except OSError:
        return False


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


def _port(address: httpx.URL) -> int:
    return address.port or _PORTS[address.scheme]
