"""Listener: who hears of what the planning did."""

from collections.abc import Callable
from dataclasses import dataclass

from rankspace.study import StudyState


@dataclass(frozen=True, slots=True)
class Listener:
    """Called from the thread that plans, after the commit; all of them must return at once.

    Attributes:
        offered: Hears of so many trials that a worker may take now.
        turned: Hears that a study has come to a state.
        postponed: Hears that a study has to be planned again, though nothing happens to it.
        took: Hears how many seconds a step took.
        damaged: Hears that the database's file was seen to be damaged.
        restarted: Hears that what was planned so far is to be read anew.
    """

    offered: Callable[[int], None]
    turned: Callable[[str, StudyState], None]
    postponed: Callable[[str], None]
    took: Callable[[float], None]
    damaged: Callable[[], None]
    restarted: Callable[[], None]
