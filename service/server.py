"""run: serve until a signal."""

from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from service import logs
from service.app import create_app
from service.runtime import Runtime
from service.settings import Settings

log = structlog.get_logger(__name__)


def run(settings: Settings) -> None:
    """Serve in this process until SIGINT or SIGTERM.

    Raises:
        InvalidInput: The settings would expose the service without naming its hosts.
        UnsupportedVersion: The database was written by a newer program.
    """
    logs.configure(settings)
    app = create_app(settings)
    log.info(
        "starting",
        address=f"http://{settings.host}:{settings.port}",
        data_directory=str(settings.data_directory),
    )
    _Server(_configuration(app, settings), app.state.runtime).run()


def _configuration(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )


class _Server(uvicorn.Server):
    """Ends the long-polls at the first signal, so that stopping does not wait for them."""

    def __init__(self, config: uvicorn.Config, runtime: Runtime) -> None:
        super().__init__(config)
        self._runtime = runtime

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        log.info("stopping", signal=sig)
        self._runtime.doorbell.close()
        super().handle_exit(sig, frame)
