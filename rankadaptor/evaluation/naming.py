"""Naming: as much of each path as tells it from the others."""

from collections.abc import Sequence
from pathlib import Path


def distinct(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return the shortest end of each path that no other one has; of equal paths the same."""
    whole = [path.absolute().parts for path in paths]
    return tuple(_shortest(own, whole) for own in whole)


def _shortest(own: tuple[str, ...], all_: Sequence[tuple[str, ...]]) -> str:
    others = [other for other in all_ if other != own]
    for count in range(1, len(own)):
        if all(other[-count:] != own[-count:] for other in others):
            return "/".join(own[-count:])
    return str(Path(*own))
