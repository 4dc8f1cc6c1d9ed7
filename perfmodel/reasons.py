"""The line that tells a person what a proposal does."""

from collections.abc import Hashable, Mapping, Sequence

from rankspace import RankVector, SearchSpace


def moves(space: SearchSpace, uniform: RankVector, vector: RankVector) -> str:
    """Describe ``vector`` against ``uniform`` by the groups that gain and lose most."""
    shifts = [
        space.price(index, rank) - space.price(index, even)
        for index, (rank, even) in enumerate(zip(vector.ranks, uniform.ranks, strict=True))
    ]
    if not any(shifts):
        return "the same rank everywhere"
    kinds = _totals([layer.module for layer in space.layers], shifts)
    blocks = _totals([_block(layer.block) for layer in space.layers], shifts)
    single = _totals([layer.name for layer in space.layers], shifts)
    grouped = max((kinds, blocks), key=_moved)
    return _say(grouped if _moved(grouped) > 0 else single)


def _block(block: int | None) -> str | None:
    return None if block is None else f"block {block}"


def _totals(keys: Sequence[Hashable], shifts: Sequence[int]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for key, shift in zip(keys, shifts, strict=True):
        if key is not None:
            totals[str(key)] = totals.get(str(key), 0) + shift
    return totals


def _moved(totals: Mapping[str, int]) -> int:
    return sum(abs(total) for total in totals.values())


def _say(totals: Mapping[str, int]) -> str:
    gains = _largest({name: total for name, total in totals.items() if total > 0})
    losses = _largest({name: -total for name, total in totals.items() if total < 0})
    parts = [f"moves parameters to {gains}"] if gains else []
    parts += (
        [f"away from {losses}" if gains else f"takes parameters from {losses}"] if losses else []
    )
    return ", ".join(parts)


def _largest(totals: Mapping[str, int]) -> str:
    """Name the one or two groups with the largest totals."""
    names = sorted(totals, key=lambda name: (-totals[name], name))
    close = [name for name in names[1:2] if 2 * totals[name] >= totals[names[0]]]
    return " and ".join([*names[:1], *close])
