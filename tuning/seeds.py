"""Seeds for independent random streams, so that no stream shifts when another one is used more."""

import hashlib


def stream_seed(*parts: int | str) -> int:
    """Hash ``parts`` into a seed in [0, 2^63); equal parts give equal seeds on every machine."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
