"""The steward: a thread that expires leases and catches up on whatever a crash left undone."""

import threading

import structlog
from sqlalchemy.exc import SQLAlchemyError

from service.leases.desk import LeaseDesk
from service.stages.conductor import Conductor

log = structlog.get_logger(__name__)


class Steward:
    """Runs once before the service answers, then every ``interval`` seconds."""

    def __init__(self, leases: LeaseDesk, conductor: Conductor, interval: float) -> None:
        self._leases = leases
        self._conductor = conductor
        self._interval = interval
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="steward", daemon=True)

    def start(self) -> None:
        self._leases.grant_grace()
        self.tend()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=10)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def tend(self) -> None:
        self._leases.expire()
        self._conductor.advance_all()

    def _work(self) -> None:
        while not self._stopping.wait(self._interval):
            try:
                self.tend()
            except SQLAlchemyError as error:
                log.error("steward has to wait", exc_info=error)
