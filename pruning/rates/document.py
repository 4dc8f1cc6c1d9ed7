"""Rates that were written down, by a person or a search: a document of block and rate."""

import json
import re
from typing import Any

from pruning.rates.rules import Given
from rankspace.errors import InvalidInput

FIELD = "rates"
ORIGIN = "search"
_INDEX = re.compile(r"0|[1-9][0-9]{0,4}")


def given_from(document: Any) -> Given:
    """Read ``{block: rate}``, or what a search wrote: that as ``rates``, with ``search`` beside it.

    Raises:
        InvalidInput: Naming the key, its value and the fix.
    """
    if not isinstance(document, dict) or FIELD not in document:
        return Given(rates_from(document))
    for name in set(document) - {FIELD, ORIGIN}:
        fix = f"write {FIELD} and {ORIGIN}, or blocks and rates alone"
        raise InvalidInput(f"{FIELD} file", name, "is not known beside rates", fix=fix)
    return Given(rates_from(document[FIELD]), _origin(document.get(ORIGIN, {})))


def _origin(found: Any) -> dict[str, Any]:
    """What is said of a search goes on into containers, so JSON has to hold it."""
    try:
        if isinstance(found, dict):
            again: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
            return again
        problem = "is no mapping"
    except (TypeError, ValueError, RecursionError) as error:
        problem = f"is not JSON: {error}"
    raise InvalidInput(ORIGIN, found, problem, fix="leave it out, or search again")


def rates_from(document: Any) -> dict[int, float]:
    """Read ``{block: rate}``, keys as numbers (YAML) or texts (JSON), in the order of the blocks.

    Raises:
        InvalidInput: Naming the key, its value and the fix.
    """
    if not isinstance(document, dict) or not document:
        problem = "is no mapping of blocks to rates"
        raise InvalidInput(FIELD, document, problem, fix="write lines like 4: 0.25")
    rates: dict[int, float] = {}
    for key, value in document.items():
        index = _index(key)
        if index in rates:
            raise InvalidInput(f"{FIELD}.{index}", value, "is written twice", fix="keep one")
        rates[index] = _rate(index, value)
    return dict(sorted(rates.items()))


def _index(key: Any) -> int:
    if isinstance(key, bool) or not _INDEX.fullmatch(str(key)):
        problem, fix = "is not the index of a block", "write lines like 4: 0.25"
        raise InvalidInput(f"{FIELD} key", key, problem, fix=fix)
    return int(key)


def _rate(index: int, value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0.0 <= value <= 1.0:
        problem = "is no share of a block: it must be a number from 0 to 1"
        raise InvalidInput(f"{FIELD}.{index}", value, problem, fix="write 0.25 to cut a quarter")
    return float(value)
