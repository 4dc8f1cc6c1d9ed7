"""Which addresses a webhook may go to: those of the public internet, and nothing inside."""

import ipaddress

_PUBLIC_6 = ipaddress.ip_network("2000::/3")
_REFUSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # protocol assignments; one cloud's metadata is at 192.0.0.192
        "192.88.99.0/24",  # 6to4 relays
        "168.63.129.16/32",  # a public address that is one cloud's host agent
        "2001::/23",  # protocol assignments, Teredo among them: they lead to IPv4
        "2001:db8::/32",
        "2002::/16",  # 6to4: holds an IPv4 address
        "3fff::/20",  # documentation
    )
)


def is_public(address: str) -> bool:
    """Whether ``address`` is one of the public internet, whatever it is written as.

    Private, loopback, link-local (cloud metadata), CGNAT, multicast and reserved addresses are
    not; nor is IPv6 that only wraps IPv4: mapped, compatible, NAT64, 6to4, Teredo.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if not found.is_global or found.is_multicast or found.is_reserved:
        return False
    if isinstance(found, ipaddress.IPv6Address) and (found.scope_id or found not in _PUBLIC_6):
        return False
    return not any(found in network for network in _REFUSED if network.version == found.version)
