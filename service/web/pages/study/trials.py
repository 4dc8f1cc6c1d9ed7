"""Trials: some of thousands at a time, filtered and ordered by the database."""

from collections.abc import Mapping
from dataclasses import dataclass

from rankspace.trial import Purpose, TrialState
from service.storage.documents import space_of
from service.trials.listing import OFFER, ORDERS, Wanted, count, listed
from service.web.pages.study.tab import Look, Sketch, Tab

PAGE_TRIALS = 50
STATES = (OFFER, *(state.value for state in TrialState))
PURPOSES = tuple(purpose.value for purpose in Purpose)

COLUMNS: Mapping[str, str] = {
    "ranks": "Ranks",
    "parameters": "Parameters",
    "score": "Score",
    "expected": "Expected",
    "seed": "Seed",
    "worker": "Worker",
    "seconds": "Took",
    "remark": "Remark",
}
"""What may be shown of a trial, by the name in the address."""

SHOWN = ("ranks", "parameters", "score", "expected", "worker", "remark")
"""Columns where the address names none."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Where in a long list one is; numbers count from 1."""

    number: int
    total: int
    size: int = PAGE_TRIALS

    @property
    def last(self) -> int:
        return max(-(-self.total // self.size), 1)

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.size

    @property
    def first_shown(self) -> int:
        return min(self.offset + 1, self.total)

    @property
    def last_shown(self) -> int:
        return min(self.offset + self.size, self.total)


def _sketch(look: Look) -> Sketch:
    asked = look.asked
    wanted = Wanted(asked.get("state", ""), asked.get("purpose", ""), asked.get("order", ORDERS[0]))
    total = count(look.session, look.row.id, wanted)
    pages = Pages(int(asked.get("page", "1")), total)
    columns = tuple(asked["columns"].split(",")) if asked.get("columns") else SHOWN
    return Sketch(
        {
            "space": space_of(look.row.space),
            "trials": listed(look.session, look.row.id, wanted, pages.offset, pages.size),
            "wanted": wanted,
            "pages": pages,
            "columns": columns,
            "every_column": COLUMNS,
            "states": STATES,
            "purposes": PURPOSES,
            "orders": ORDERS,
        }
    )


TRIALS = Tab("trials", "Trials", "study/trials.html", _sketch)
