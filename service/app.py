"""create_app: the wiring of the service, and nothing else."""

import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from fastapi import APIRouter, FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles

from service.access.key_files import issue_missing
from service.housekeeping import Housekeeping
from service.runtime import Runtime, assemble
from service.settings import Settings
from service.storage.schema import check, upgrade
from service.telemetry import tracing
from service.telemetry.timing import RequestTimer
from service.web import errors, openapi, pages
from service.web.audit import AuditTrail
from service.web.body_limit import BodyLimit
from service.web.guards import HostGuard, NulGuard, SecurityHeaders
from service.web.pages import router as page_routes
from service.web.prefix import Prefix
from service.web.routers import (
    audit,
    exports,
    health,
    insights,
    join_tokens,
    keys,
    leases,
    metrics,
    models,
    streams,
    studies,
    trials,
    workers,
)
from service.web.threads import Threads

ROUTERS = (
    models.router,
    studies.router,
    streams.router,
    trials.router,
    insights.router,
    exports.router,
    leases.router,
    workers.router,
    workers.admin_router,
    keys.router,
    join_tokens.router,
    join_tokens.open_router,
    audit.router,
    health.router,
    metrics.router,
    openapi.router,
    *page_routes.ROUTERS,
)

ROUTES = APIRouter()
"""All of them, included once: FastAPI prepares the routes of each inclusion anew at its first
request, which takes longer than all else in the start of an application."""
for _router in ROUTERS:
    ROUTES.include_router(_router)


def create_app(settings: Settings, *, plans_apart: bool = False) -> FastAPI:
    """Build the application; its database is migrated and tended from start-up to shutdown.

    Args:
        settings: Of the service.
        plans_apart: Whether the planning has a process of its own, which ends with this one.

    Raises:
        InvalidInput: The settings expose the service without naming its hosts, give leases no
            room for heartbeats, or ask for spans without the packages.
    """
    settings.check()
    runtime = assemble(settings, plans_apart=plans_apart)
    app = FastAPI(
        title="RankAdaptor",
        description="Finds one LoRA rank per layer for a pruned language model.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        lifespan=_lifespan,
    )
    app.state.runtime = runtime
    app.state.housekeeping = _housekeeping(runtime)
    Threads.install(app, settings.threads)
    errors.install(app, ROUTERS)
    app.router.routes.extend(ROUTES.routes)
    openapi.describe(app)
    app.mount("/static", StaticFiles(directory=Path(pages.__file__).parent / "static"))
    app.add_middleware(AuditTrail, database=runtime.database)
    app.add_middleware(NulGuard)
    app.add_middleware(BodyLimit, settings=settings)
    app.add_middleware(HostGuard, hosts=settings.hosts())
    app.add_middleware(SecurityHeaders)
    app.add_middleware(RequestTimer, metrics=runtime.metrics)
    if settings.otel:
        tracing.install(app)
    app.add_middleware(Prefix, root_path=settings.root_path)
    return app


def prepare(runtime: Runtime) -> None:
    """Make the schema right and the keys that are missing, clear away uploads cut off.

    A database that other processes may be using is migrated by an operator: ``rankadaptor db``.
    """
    database, directory = runtime.database, runtime.settings.data_directory
    check(database) if database.is_shared else upgrade(database)
    one = database.alone("make the first keys")
    with ExitStack() as files, one, database.writing() as session:
        issue_missing(session, directory, files, is_own=not database.is_shared)
    runtime.artifacts.sweep()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    runtime: Runtime = app.state.runtime
    housekeeping: Housekeeping = app.state.housekeeping
    app.state.threads.begin()
    try:
        await run_in_threadpool(prepare, runtime)
        await run_in_threadpool(runtime.planning.start)
        await run_in_threadpool(housekeeping.start)
        if runtime.hints is not None:
            runtime.hints.start()
        yield
    finally:
        runtime.doorbell.close()
        await runtime.streams.close()
        await run_in_threadpool(housekeeping.stop)
        if runtime.hints is not None:
            await run_in_threadpool(runtime.hints.stop)
        await run_in_threadpool(runtime.planning.close)
        await run_in_threadpool(runtime.announcer.close)
        await run_in_threadpool(runtime.insights.close)
        runtime.database.close()


def _housekeeping(runtime: Runtime) -> Housekeeping:
    housekeeping = Housekeeping(
        runtime.leases,
        runtime.planning,
        runtime.artifacts,
        runtime.database,
        runtime.settings.housekeeping_seconds,
    )
    runtime.metrics.watch_housekeeping(lambda: time.time() - housekeeping.age)
    return housekeeping
