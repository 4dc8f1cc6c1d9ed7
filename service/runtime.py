"""Runtime: the parts of one running service, put together once."""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fastapi import Request

from rankspace.errors import InvalidInput
from service.artifacts.store import ArtifactStore
from service.backlog.gauges import BacklogGauges
from service.db import Database
from service.doorbell import Doorbell
from service.exports.desk import ArtifactDesk
from service.insights.desk import InsightDesk
from service.leases.desk import LeaseDesk
from service.limits import Limits
from service.metrics.metrics import Metrics
from service.readiness import Readiness
from service.settings import Settings
from service.stages.conductor import Conductor
from service.stages.planning import Planning
from service.streams.broadcast import Broadcast
from service.webhooks.announcer import Announcer, announcer

if TYPE_CHECKING:
    from service.hints import Hints


@dataclass(frozen=True, slots=True)
class Runtime:
    settings: Settings
    metrics: Metrics
    database: Database
    doorbell: Doorbell
    planning: Planning
    leases: LeaseDesk
    artifacts: ArtifactDesk
    insights: InsightDesk
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
    conductor = Conductor(database, doorbell, active, metrics, told.announce)
    planning = Planning(conductor)
    streams = Broadcast(database, doorbell)
    metrics.watch_streams(lambda: streams.count)
    store = ArtifactStore(settings.data_directory / "artifacts")
    return Runtime(
        settings=settings,
        metrics=metrics,
        database=database,
        doorbell=doorbell,
        planning=planning,
        leases=LeaseDesk(database, doorbell, settings, metrics),
        artifacts=ArtifactDesk(database, store),
        insights=InsightDesk(database, settings.fresh_seconds, planning.known),
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
    from service.hints import Hints  # noqa: PLC0415  # redis is an extra

    hints = Hints(database, url)
    doorbell.tell(hints.ring)
    return hints


def get_runtime(request: Request) -> Runtime:
    runtime = request.app.state.runtime
    assert isinstance(runtime, Runtime)
    return runtime
