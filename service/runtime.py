"""Runtime: the parts of one running service, put together once."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fastapi import Request

from rankspace.errors import InvalidInput
from service.access.limits import Limits
from service.artifacts.store import ArtifactStore
from service.insights.cache import InsightCache
from service.leases.lease_service import LeaseService
from service.leases.uploads import ArtifactTransfer
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


def assemble(settings: Settings) -> Runtime:
    settings.data_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    database, doorbell = Database(settings.url(), connections=settings.threads), Doorbell()
    hints, told = _hints(database, doorbell, settings.redis_url), announcer(settings)
    metrics = Metrics()
    metrics.registry.register(BacklogGauges(database, settings.active_worker_seconds))
    active = settings.active_worker_seconds
    planner = StudyPlanner(database, doorbell, active, metrics, told.announce)
    planning = PlanningQueue(planner)
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
        insights=InsightCache(database, settings.fresh_seconds, planning.known),
        hints=hints,
        limits=Limits(settings),
        announcer=told,
        readiness=Readiness(database),
        streams=streams,
    )


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
