"""Runtime: the parts of one running service, put together once."""

from dataclasses import dataclass

from fastapi import Request

from service.artifacts.store import ArtifactStore
from service.db import Database
from service.doorbell import Doorbell
from service.exports.desk import ArtifactDesk
from service.leases.desk import LeaseDesk
from service.limits import Limits
from service.settings import Settings
from service.stages.conductor import Conductor
from service.stages.planning import Planning
from service.webhooks.announcer import Announcer, announcer


@dataclass(frozen=True, slots=True)
class Runtime:
    settings: Settings
    database: Database
    doorbell: Doorbell
    planning: Planning
    leases: LeaseDesk
    artifacts: ArtifactDesk
    limits: Limits
    announcer: Announcer


def assemble(settings: Settings) -> Runtime:
    settings.data_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    database, doorbell = Database(settings.url(), connections=settings.threads), Doorbell()
    told = announcer(settings)
    conductor = Conductor(database, doorbell, settings.active_worker_seconds, told.announce)
    store = ArtifactStore(settings.data_directory / "artifacts")
    return Runtime(
        settings=settings,
        database=database,
        doorbell=doorbell,
        planning=Planning(conductor),
        leases=LeaseDesk(database, doorbell, settings),
        artifacts=ArtifactDesk(database, store),
        limits=Limits(settings),
        announcer=told,
    )


def get_runtime(request: Request) -> Runtime:
    runtime = request.app.state.runtime
    assert isinstance(runtime, Runtime)
    return runtime
