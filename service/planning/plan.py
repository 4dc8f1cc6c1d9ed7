"""Plan: what one step of a study decided, as data."""

from dataclasses import dataclass

from perfmodel.evidence.arms import Arms, Controls
from rankspace import Verdict
from rankspace.study import StudyState
from service.trials.planned import PlannedTrial


@dataclass(frozen=True, slots=True)
class Proposed:
    """One round of proposing, as the event log keeps it.

    Attributes:
        watermark: Finished search trials learned before.
        pending: Trials the model was told are under way, by identity. The second offer was made
            with the first one pending too, and so on.
        renewed: Existing offers that get a new candidate, in the order of the proposals.
        offers: The candidates; those beyond ``renewed`` are queued as new trials.
        surveys: Claims of a survey whose scores the model had heard.
    """

    watermark: int
    pending: tuple[int, ...]
    renewed: tuple[int, ...]
    offers: tuple[PlannedTrial, ...]
    surveys: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """The study enters another state."""

    state: StudyState
    error: str | None = None
    arms: Arms | None = None
    controls: Controls | None = None
    verdict: Verdict | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Changes to write in one transaction; empty when there is nothing to do.

    Attributes:
        watermark: Finished search trials that the offers rest on from now on.
        withdrawn: Offers to take back.
        proposed: New and renewed offers.
        cancelled: Queued trials that are no longer wanted; if one is claimed meanwhile, all of the
            plan is void.
        queued: Further trials to queue.
        turn: The state to enter.
    """

    watermark: int | None = None
    withdrawn: tuple[int, ...] = ()
    proposed: Proposed | None = None
    cancelled: tuple[int, ...] = ()
    queued: tuple[PlannedTrial, ...] = ()
    turn: Turn | None = None

    @property
    def made(self) -> int:
        """Trials that can be claimed, the renewed ones included."""
        return len(self.queued) + (len(self.proposed.offers) if self.proposed else 0)

    @property
    def is_empty(self) -> bool:
        return self == Plan()
