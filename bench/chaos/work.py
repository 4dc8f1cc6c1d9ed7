"""The work of a run: studies submitted over REST, and the history read back from the database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from bench.chaos.crew import CLOSED
from bench.chaos.faults import STRANDED_GIB
from bench.chaos.history import Acknowledged, Counted, Event, History
from bench.chaos.site import LEASE_SECONDS
from rankspace import Purpose
from rankspace.study import OVER, StudyState
from service.planning.replay import replay
from service.planning.study_results import StudyResults
from service.storage.db import Database
from service.storage.tables import BarRow, EventRow, ObservationRow, StudyRow, TrialRow

MODULES = ("q_proj", "v_proj", "gate_proj", "down_proj")
BLOCKS = 3
STRATEGIES = ("additive", "swap", "random")
SURVEY = {"steps": 10, "vectors": 30, "further": 12}
"""Of the first study: further scores are taken while everything fails."""

FINGERPRINT = f"{0xC4A05:064x}"


def submit(client: httpx.Client, trials: int, studies: int) -> list[str]:
    """Share ``trials`` among ``studies`` of different strategies, and strand one more study.

    The first of them begins with a survey.
    """
    client.post("/v1/models", json=_model()).raise_for_status()
    share = [trials // studies + (at < trials % studies) for at in range(studies)]
    names = [
        _submit(client, f"chaos-{at}", count, STRATEGIES[at % len(STRATEGIES)], surveys=at == 0)
        for at, count in enumerate(share)
    ]
    _submit(client, "stranded", 3, "random", gpu_memory_gib=STRANDED_GIB)
    return names


def submit_closed(client: httpx.Client, studies: int) -> list[str]:
    """Submit ``studies`` whose files no worker can open; what is submitted first goes first."""
    client.post("/v1/models", json=_model()).raise_for_status()
    recipe = {"data": {"train": CLOSED}, "modules": list(MODULES)}
    return [_submit(client, f"closed-{at}", 3, "random", recipe=recipe) for at in range(studies)]


def _submit(
    client: httpx.Client,
    name: str,
    trials: int,
    strategy: str,
    *,
    surveys: bool = False,
    **changes: Any,
) -> str:
    study = {
        "name": name,
        "model": "/models/chaos",
        "recipe": {"data": {"train": "train.jsonl"}, "modules": list(MODULES)},
        "search": {
            "ranks": [0, 1, 2, 4, 8],
            "budget": {"parameters": "uniform:2", "trials": trials},
            "trial": {"steps": 10},
            "strategy": strategy,
            "survey": SURVEY if surveys else None,
        },
        "verify": {"candidates": 1, "seeds": 3, "max_trials": 16},
        "recover": {"epochs": 1, "steps": 20},
        **changes,
    }
    return str(client.post("/v1/studies", json=study).raise_for_status().json()["id"])


def _model() -> dict[str, Any]:
    matrices = [
        {
            "name": f"model.layers.{block}.x.{module}",
            "block": block,
            "module": module,
            "d_in": 32,
            "d_out": 32,
        }
        for block in range(BLOCKS)
        for module in MODULES
    ]
    return {
        "path": "/models/chaos",
        "fingerprint": FINGERPRINT,
        "architecture": "LlamaForCausalLM",
        "parameters": 10_000,
        "matrices": matrices,
    }


class Progress:
    """How far the studies are, read past the service; a database that is away tells nothing."""

    def __init__(self, database: Database, studies: Iterable[str]) -> None:
        self._database = database
        self._studies = tuple(studies)
        self.counted = 0
        self.is_over = False

    def look(self) -> None:
        mine = ObservationRow.study_id.in_(self._studies)
        ended = StudyRow.id.in_(self._studies) & StudyRow.state.in_(OVER)
        try:
            with self._database.reading() as session:
                counted = session.scalar(select(func.count(ObservationRow.trial_id)).where(mine))
                over = session.scalar(select(func.count(StudyRow.id)).where(ended))
        except SQLAlchemyError:
            return
        self.counted, self.is_over = int(counted or 0), over == len(self._studies)


def _why(content: Mapping[str, Any] | None) -> str | None:
    return (content or {}).get("error")


def read_history(
    database: Database,
    studies: Iterable[str],
    acknowledged: list[Acknowledged],
    refills: list[float],
    *,
    replays: bool,
) -> History:
    """Read all that the check looks at; ``replays`` recomputes every proposal."""
    mine = tuple(studies)
    with database.reading() as session:
        states = session.execute(
            select(TrialRow.id, TrialRow.state).where(TrialRow.study_id.in_(mine))
        )
        events = session.execute(
            select(EventRow.trial_id, EventRow.kind, EventRow.content, EventRow.created_at)
            .where(EventRow.study_id.in_(mine), EventRow.trial_id.is_not(None))
            .order_by(EventRow.id)
        )
        rows = session.execute(
            select(
                ObservationRow.trial_id,
                ObservationRow.study_id,
                ObservationRow.sequence,
                ObservationRow.token,
                ObservationRow.score,
            ).where(ObservationRow.study_id.in_(mine))
        )
        unfinished = session.scalars(
            select(StudyRow.id).where(StudyRow.id.in_(mine), StudyRow.state != StudyState.DONE)
        )
        history = History(
            states={row.id: row.state for row in states},
            events=[
                Event(t, kind, (c or {}).get("token"), at, (c or {}).get("cause") or _why(c))
                for t, kind, c, at in events
            ],
            counted=[Counted(*row) for row in rows],
            acknowledged=acknowledged,
            unfinished=list(unfinished),
            refills=refills,
            lease_seconds=LEASE_SECONDS,
        )
    mismatches = sum(_mismatches(database, study) for study in mine) if replays else 0
    return replace(history, mismatches=mismatches)


def _mismatches(database: Database, study: str) -> int:
    """Proposals a replay makes otherwise; and one if the model knows more or less than there is.

    A survey counts likewise, if it scored a vector twice or more of them than were asked for.
    """
    with database.reading() as session:
        results = StudyResults.open(session, study)
        results.catch_up(session)
        searched = select(func.count(ObservationRow.trial_id)).join(
            TrialRow, TrialRow.id == ObservationRow.trial_id
        )
        mine = (TrialRow.study_id == study) & (TrialRow.purpose == Purpose.SEARCH.value)
        there = session.scalar(searched.where(mine))
        wrong = (results.searched != there) + _is_surveyed_wrongly(results)
        return len(replay(session, study)) + wrong


def _is_surveyed_wrongly(results: StudyResults) -> bool:
    vectors = [one.rank_vector for one in results.state.surveyed]
    asked = results.study.search.survey.further if results.study.search.survey else 0
    return len({*vectors}) != len(vectors) or results.further > asked


@dataclass(frozen=True, slots=True)
class Closed:
    """What became of the studies that nobody can open.

    Attributes:
        studies: How many there were.
        paused: Of them, so that a person hears of it.
        workers: That were kept from them.
        measured: Their trials that count, which none can.
    """

    studies: int
    paused: int
    workers: int
    measured: int

    def problems(self) -> list[str]:
        """Whatever should not have happened to them."""
        found = []
        if self.paused < self.studies:
            found.append(f"{self.studies - self.paused} studies that nobody can open go on")
        if self.measured:
            found.append(f"{self.measured} trials count that nobody can have opened")
        return found


def look_at_closed(database: Database, studies: Sequence[str]) -> Closed:
    """Read what became of ``studies``."""
    with database.reading() as session:

        def count(what: Any, *where: Any) -> int:
            return int(session.scalar(select(func.count(what)).where(*where)) or 0)

        return Closed(
            len(studies),
            count(StudyRow.id, StudyRow.id.in_(studies), StudyRow.state == StudyState.PAUSED),
            count(BarRow.worker.distinct(), BarRow.study_id.in_(studies)),
            count(ObservationRow.trial_id, ObservationRow.study_id.in_(studies)),
        )
