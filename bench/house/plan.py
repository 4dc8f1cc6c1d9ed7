"""The plan of a package: its rooms, and the arrows between them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.house.source import Module, imported
from rankspace.cached import cached_property


@dataclass(frozen=True)
class Plan:
    """Rooms are what lies directly in the package: a file or a folder.

    Attributes:
        leads_to: Of each room, the others that it imports.
    """

    leads_to: Mapping[str, frozenset[str]]

    @property
    def arrows(self) -> int:
        """Pairs of rooms of which the first imports the second."""
        return sum(len(others) for others in self.leads_to.values())

    @cached_property
    def cycles(self) -> list[tuple[str, ...]]:
        """Largest groups of rooms each of which leads to all others of its group."""
        groups = {self._circle(room) for room in self.leads_to}
        return sorted(tuple(sorted(group)) for group in groups if len(group) > 1)

    @property
    def floors(self) -> int:
        """Rooms on the longest way down; a cycle lies on one floor."""
        known: dict[frozenset[str], int] = {}
        return max((self._floor(self._circle(room), known) for room in self.leads_to), default=0)

    def _floor(self, circle: frozenset[str], known: dict[frozenset[str], int]) -> int:
        if circle not in known:
            others = frozenset[str]().union(*(self.leads_to[room] for room in circle)) - circle
            below = (self._floor(self._circle(room), known) for room in others)
            known[circle] = 1 + max(below, default=0)
        return known[circle]

    def _circle(self, room: str) -> frozenset[str]:
        """The room and those that it reaches and that reach it."""
        back = {other for other in self._reach[room] if room in self._reach[other]}
        return frozenset(back | {room})

    @cached_property
    def _reach(self) -> Mapping[str, frozenset[str]]:
        return {room: self._reached_from(room) for room in self.leads_to}

    def _reached_from(self, room: str) -> frozenset[str]:
        reached: set[str] = set()
        left = list(self.leads_to[room])
        while left:
            if (other := left.pop()) not in reached:
                reached.add(other)
                left += self.leads_to[other]
        return frozenset(reached)


def plan(modules: Mapping[str, Module]) -> Plan:
    """Draw the plan of one package; its own ``__init__`` is no room, but leads nowhere either."""
    rooms = {room_of(name) for name in modules} - {None}
    found: dict[str, set[str]] = {room: set() for room in rooms if room}
    for name, module in modules.items():
        room = room_of(name)
        if room:
            found[room] |= _neighbours(room, module, modules)
    return Plan({room: frozenset(others) for room, others in found.items()})


def room_of(name: str) -> str | None:
    """The room of a module; None for the package itself."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else None


def _neighbours(room: str, module: Module, modules: Mapping[str, Module]) -> set[str]:
    own = (name for name in imported(module, modules) if name in modules)
    others: Iterable[str | None] = map(room_of, own)
    return {other for other in others if other and other != room}
