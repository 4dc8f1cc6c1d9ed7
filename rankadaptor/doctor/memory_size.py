"""A memory's size as a person writes it; one letter is taken as torch and containers take it."""

import re

from rankspace.errors import InvalidInput

_SIZE = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,3})?) ?([A-Za-z]{1,3})")
_UNITS = {"gib": 2**30, "g": 2**30, "gb": 10**9, "mib": 2**20, "m": 2**20, "mb": 10**6}


def parse_size(text: str) -> int:
    """Return the bytes of ``24GiB``, ``24G``, ``24 GB`` or ``512MiB``.

    Raises:
        InvalidInput: It is none of these.
    """
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[2].lower()) if found else None
    if found is None or unit is None or float(found[1]) == 0:
        raise InvalidInput("--memory", text, "is not a size", fix="write it like 24GiB")
    return int(float(found[1]) * unit)
