"""Stock names of tensors, whatever the model was wrapped in or cut from when it was saved.

torch.compile, DDP, PEFT and larger models put something before every name, a bare decoder leaves
``model.`` out, pruning leaves the blocks the numbers they had, and of a tied pair either name may
be the stored one.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from pruning.container.shapes import DECODER, EMBEDDING, OUTPUT, ROTARY_BUFFER

_BLOCK = re.compile(r"((?:.*?\.)?)layers\.(\d{1,9})\.")


@dataclass(frozen=True, slots=True)
class Names:
    """How stored tensors are called in a stock model.

    Attributes:
        stock: Stock name by stored name, of those that are stored under another.
        blocks: Numbers under which the blocks are stored, rising.
    """

    stock: Mapping[str, str] = field(default_factory=dict)
    blocks: tuple[int, ...] = ()


def read_names(stored: Collection[str], *, tied: bool) -> Names:
    """Find the stock names; nothing is renamed where the blocks have no prefix in common."""
    plain = [name for name in stored if not name.endswith(ROTARY_BUFFER)]
    found = [match for name in plain if (match := _BLOCK.match(name))]
    prefixes = {match[1] for match in found}
    if len(prefixes) != 1:
        return Names()
    (prefix,) = prefixes
    blocks = tuple(sorted({int(match[2]) for match in found}))
    places = {number: place for place, number in enumerate(blocks)}
    renamed = {name: _stock(name, prefix, places) for name in plain}
    if tied and EMBEDDING not in renamed.values():
        renamed = {name: EMBEDDING if new == OUTPUT else new for name, new in renamed.items()}
    if len(set(renamed.values())) != len(renamed):
        return Names()
    return Names({name: new for name, new in renamed.items() if new != name}, blocks)


def names_of_blocks(stored: Collection[str], numbers: Collection[int]) -> frozenset[str]:
    """Return the names of all tensors of the blocks of these ``numbers``."""
    found = ((name, _BLOCK.match(name)) for name in stored)
    return frozenset(name for name, match in found if match and int(match[2]) in numbers)


def names_of_parts(
    stored: Collection[str], numbers: Collection[int], parts: Collection[str]
) -> frozenset[str]:
    """Return the names of what the blocks of these ``numbers`` have in ``parts`` (modules)."""
    there = names_of_blocks(stored, numbers)
    return frozenset(name for name in there if name.split(".")[-2] in parts)


def _stock(name: str, prefix: str, places: Mapping[int, int]) -> str:
    match = _BLOCK.match(name)
    if match:
        return f"{DECODER}layers.{places[int(match[2])]}.{name[match.end() :]}"
    if name.endswith(OUTPUT) and prefix.startswith(name.removesuffix(OUTPUT)):
        return OUTPUT
    return DECODER + name.removeprefix(prefix) if name.startswith(prefix) else name
