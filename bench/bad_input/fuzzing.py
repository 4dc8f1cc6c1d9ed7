"""Damaged bodies: valid JSON changed in every way that a client, a bug or an attacker would.

Used by ``bench.bad_input`` against a real server, and by the test suite with fewer.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    10**6,
    2**53,
    -(2**63),
    10**30,
    10**400,
    0.5,
    -0.0,
    1e308,
    5e-324,
    float("nan"),
    float("inf"),
    "",
    " ",
    "\0",
    "\ud800",
    "é\u202e\U0001f600",
    "../../etc/passwd",
    "//proc/self/root",
    "' OR 1=1 --",
    "{{7*7}}",
    "x" * 300,
    "x" * 20_000,
    "1e400",
    [],
    {},
    [[]],
    {"": 0},
    ["a", 1, None],
)

SPLICES: tuple[bytes, ...] = (
    b"\xff",
    b"\xed\xa0\x80",
    b"\xc0\xaf",
    b"\x00",
    b"\xef\xbb\xbf",
    b"[" * 5_000,
    b'{"a":' * 5_000,
    b"9" * 5_000,
    b"\\u0000",
    b"//",
    b",",
)

LONGEST_TEXT = 500


@dataclass(frozen=True)
class Door:
    """Where a body goes in.

    Attributes:
        method: Of the request.
        path: Without the host.
        role: Whose key is sent.
        documents: Bodies that are good there.
    """

    method: str
    path: str
    role: str
    documents: Sequence[Any]


@dataclass(frozen=True)
class Fault:
    """A body that was not answered as bad input is to be.

    Attributes:
        door: Where it went in.
        body: Its beginning.
        status: Of the answer.
        said: The answer's beginning.
    """

    door: Door
    body: bytes
    status: int
    said: str


Send = Callable[[Door, bytes], Any]
"""Sends a body and returns the answer, with ``status_code``, ``text`` and ``json()``."""


def faults(doors: Sequence[Door], send: Send, count: int, seed: int = 0) -> Iterator[Fault]:
    """Send ``count`` damaged bodies through the doors in turn; yield what went wrong."""
    chance = random.Random(seed)
    for number in range(count):
        door = doors[number % len(doors)]
        body = damaged(chance.choice(door.documents), chance)
        answer = send(door, body)
        if answer.status_code >= 500 or (answer.status_code >= 400 and not _is_ours(answer)):
            said = answer.text[:LONGEST_TEXT]
            yield Fault(door, body[:LONGEST_TEXT], answer.status_code, said)


def _is_ours(answer: Any) -> bool:
    try:
        return set(answer.json()) == {"error", "detail", "hint"}
    except ValueError:
        return False


def damaged(document: Any, chance: random.Random) -> bytes:
    """Damage a copy of ``document`` once or a few times, as a value and then as text."""
    document = copy.deepcopy(document)
    for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
        document = chance.choice(_CHANGES)(document, chance)
    text = json.dumps(document, ensure_ascii=chance.random() < 0.5)
    raw = text.encode("utf-8", "surrogatepass")
    return chance.choice(_SPOILS)(raw, chance) if chance.random() < 0.3 else raw


def _replace(document: Any, chance: random.Random) -> Any:
    """Put something odd where anything was."""
    parent, name = _place(document, chance)
    if parent is None:
        return chance.choice(ODD)
    parent[name] = copy.deepcopy(chance.choice(ODD))
    return document


def _remove(document: Any, chance: random.Random) -> Any:
    parent, name = _place(document, chance)
    if parent is not None:
        del parent[name]
    return document


def _move(document: Any, chance: random.Random) -> Any:
    """Put one part of the document where another was: right in kind, wrong in place."""
    source, name = _place(document, chance)
    target, other = _place(document, chance)
    if source is not None and target is not None:
        target[other] = copy.deepcopy(source[name])
    return document


def _add(document: Any, chance: random.Random) -> Any:
    parent, name = _place(document, chance)
    if isinstance(parent, dict):
        parent[f"{name}_"] = chance.choice(ODD)
    elif isinstance(parent, list):
        parent.extend([chance.choice(ODD)] * chance.choice((1, 10, 1_000)))
    return document


def _deepen(document: Any, chance: random.Random) -> Any:
    parent, name = _place(document, chance)
    if parent is not None:
        for _ in range(chance.choice((1, 31, 33, 200))):
            parent[name] = [parent[name]]
    return document


def _place(document: Any, chance: random.Random) -> tuple[Any, Any]:
    """Choose a node at random: its parent and its name there; (None, None) is the whole."""
    places = [(None, None), *_places(document)]
    return chance.choice(places)


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    names: Sequence[Any] = ()
    if isinstance(node, Mapping):
        names = list(node)
    elif isinstance(node, list):
        names = range(min(len(node), 20))
    for name in names:
        yield node, name
        yield from _places(node[name])


def _cut(raw: bytes, chance: random.Random) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


def _splice(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + chance.choice(SPLICES) + raw[at:]


def _flip(raw: bytes, chance: random.Random) -> bytes:
    changed = bytearray(raw)
    for _ in range(min(3, len(raw))):
        changed[chance.randrange(len(raw))] = chance.randrange(256)
    return bytes(changed)


def _twice(raw: bytes, chance: random.Random) -> bytes:
    """Give every name of one object twice, or the whole body."""
    inside = raw[1:-1]
    doubled = raw[:1] + inside + b"," + inside + raw[-1:]
    return chance.choice((raw + raw, doubled))


_CHANGES = (_replace, _replace, _replace, _remove, _move, _add, _deepen)
_SPOILS = (_cut, _splice, _splice, _flip, _twice)
