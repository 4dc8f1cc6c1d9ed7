"""Runtime: the parts of one running service, put together once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from fastapi import Request

from rankspace.errors import InvalidInput
from service.access.limits import Limits
from service.artifacts.store import ArtifactStore
from service.insights.cache import InsightCache
from service.insights.found import Made
from service.insights.making import looking
from service.leases.lease_service import LeaseService
from service.leases.uploads import ArtifactTransfer
from service.planning.agenda import Agenda
from service.planning.apart.process import PlanningProcess
from service.planning.listener import Listener
from service.planning.planner import StudyPlanner
from service.planning.queue import PlanningQueue
from service.settings import Settings
from service.signals.announcer import Announcer, announcer
from service.signals.broadcast import Broadcast
from service.signals.doorbell import Doorbell
from service.storage.db import Database
from service.storage.readiness import Readiness
from service.telemetry.gauges import BacklogGauges
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from service.signals.hints import Hints


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts of one running service, by what routes ask of them."""

    settings: Settings
    metrics: Metrics
    database: Database
    doorbell: Doorbell
    planning: PlanningQueue
    leases: LeaseService
    artifacts: ArtifactTransfer
    insights: InsightCache
    hints: "Hints | None"
    limits: Limits
    announcer: Announcer
    readiness: Readiness
    streams: Broadcast


def assemble(settings: Settings, *, plans_apart: bool = False) -> Runtime:
    """Put the parts together; ``plans_apart``: the planning has a process of its own."""
    _make(settings.data_directory)
    database, doorbell = Database(settings.url(), connections=settings.threads), Doorbell()
    hints, told = _hints(database, doorbell, settings.redis_url), announcer(settings)
    metrics = Metrics()
    metrics.registry.register(BacklogGauges(database, settings.active_worker_seconds))
    agenda = Agenda(database, settings.active_worker_seconds)
    listener = Listener(
        offered=doorbell.ring,
        turned=told.announce,
        postponed=agenda.forget,
        took=metrics.planning.observe,
        damaged=database.note_damage,
        restarted=partial(_begin_anew, agenda, metrics),
    )
    plans = _planned_apart if plans_apart else _planned_here
    planning, make = plans(settings, database, listener, agenda)
    streams = Broadcast(database, doorbell)
    metrics.watch_streams(lambda: streams.count)
    store = ArtifactStore(settings.data_directory / "artifacts")
    return Runtime(
        settings=settings,
        metrics=metrics,
        database=database,
        doorbell=doorbell,
        planning=planning,
        leases=LeaseService(database, doorbell, settings, metrics),
        artifacts=ArtifactTransfer(database, store),
        insights=InsightCache(database, make, settings.fresh_seconds),
        hints=hints,
        limits=Limits(settings),
        announcer=told,
        readiness=Readiness(database),
        streams=streams,
    )


Make: TypeAlias = Callable[[str, str], Made[Any]]
"""Makes an insight of a study, by their names."""


def _planned_here(
    settings: Settings, database: Database, listener: Listener, agenda: Agenda
) -> tuple[PlanningQueue, Make]:
    planner = StudyPlanner(
        database, settings.active_worker_seconds, settings.planning_mebibytes << 20, listener
    )
    planning = PlanningQueue(planner, agenda)
    return planning, looking(database, planner.known, planning.ask)


def _planned_apart(
    settings: Settings, database: Database, listener: Listener, agenda: Agenda
) -> tuple[PlanningQueue, Make]:
    process = PlanningProcess(settings, database, listener, looking)
    return PlanningQueue(process, agenda), process.look


def _begin_anew(agenda: Agenda, metrics: Metrics) -> None:
    metrics.planning_restarts.inc()
    agenda.forget_all()


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        problem = f"cannot be made: {error.strerror}"
        fix = "give a directory that this user may make, in --data or RANKADAPTOR_DATA_DIRECTORY"
        raise InvalidInput("data_directory", str(directory), problem, fix=fix) from error


def _hints(database: Database, doorbell: Doorbell, url: str | None) -> "Hints | None":
    if url is None:
        return None
    if find_spec("redis") is None:
        fix = "pip install 'rankadaptor[redis]', or leave the setting out"
        raise InvalidInput("redis_url", "***", "needs the redis package", fix=fix)
    from service.signals.hints import Hints  # noqa: PLC0415  # redis is an extra

    hints = Hints(database, url)
    doorbell.tell(hints.ring)
    return hints


async def get_runtime(request: Request) -> Runtime:
    runtime = request.app.state.runtime
    assert isinstance(runtime, Runtime)
    return runtime
