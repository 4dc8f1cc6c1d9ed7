"""The summary: the last line of the bench."""

from collections.abc import Mapping

from bench.proposers.ledger import CHAMPION, Line, Place
from bench.proposers.roster import PEERS

PLACE: Place = ("reference", 32, 50)


def summary(places: Mapping[Place, list[Line]]) -> dict[str, str]:
    """Figures of the last line; ``-`` for what did not run.

    A peer counts as the best only with at least half of the champion's problems.
    """
    found = {line.arm: line for line in places.get(PLACE, [])}
    enough = found[CHAMPION].regret.count / 2 if CHAMPION in found else 1
    peers = [
        line.regret.value
        for name, line in found.items()
        if name in PEERS and line.regret.count >= enough
    ]
    every = [line for lines in places.values() for line in lines if line.arm not in PEERS]
    return {
        "regret32_at50": _figure(found, CHAMPION),
        "swap32_at50": _figure(found, "swap"),
        "best_peer32_at50": f"{min(peers):.1f}" if peers else "-",
        "infeasible": str(sum(line.infeasible for line in every)),
    }


def _figure(found: Mapping[str, Line], name: str) -> str:
    return f"{found[name].regret.value:.1f}" if name in found else "-"
