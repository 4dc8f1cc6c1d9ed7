"""HeartbeatThread: keeps a lease alive from its own thread and brings the service's wishes back."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

import structlog

from rankspace.errors import LeaseLost, RankspaceError, Unreachable
from rankspace.lease import MAX_INTERIM, Action, Assignment

AWAY_SECONDS = 5.0
"""How soon to try again when the service did not answer."""
LONGEST_GOODBYE_SECONDS = 1.0
MOST_INTERIM = 50
"""Interim losses sent per trial, about; one in so many where the steps are not known before."""

log = structlog.get_logger(__name__)


class Renewer(Protocol):
    """What a heartbeat needs of the service."""

    def heartbeat(self, lease: Assignment, interim: Sequence[tuple[int, float]]) -> Action: ...


class HeartbeatThread:
    """Renews ``lease`` until the ``with`` block ends; a service that is away changes nothing.

    Args:
        renewer: Used by the thread alone, so give it a connection of its own.
        lease: What to renew, and how often.
    """

    def __init__(self, renewer: Renewer, lease: Assignment) -> None:
        self._renewer = renewer
        self._lease = lease
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._interim: list[tuple[int, float]] = []
        self._stride = max(1, lease.steps // MOST_INTERIM) if lease.steps else MOST_INTERIM
        self._lost: str | None = None
        self._stopped = False
        self.draining = False
        name = f"heartbeat-{lease.trial_id}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        # A beat that hangs in the network must not hold up the report; its answer is ignored.
        self._thread.join(LONGEST_GOODBYE_SECONDS)

    def beat(self, step: int, loss: float) -> bool:
        """Note a step's loss; return True when the trial should stop and report what it has.

        Raises:
            LeaseLost: The trial was cancelled or handed on; there is nobody to report to.
        """
        if self._lost is not None:
            raise LeaseLost(self._lost)
        if step % self._stride == 0:
            with self._lock:
                self._interim.append((step, loss))
        return self._stopped

    def _run(self) -> None:
        wait = self._lease.heartbeat_seconds
        while not self._ended.wait(wait):
            wait = self._lease.heartbeat_seconds if self._renew() else self._soon()
            if self._lost is not None:
                return

    def _soon(self) -> float:
        return min(AWAY_SECONDS, self._lease.heartbeat_seconds)

    def _renew(self) -> bool:
        with self._lock:
            interim = tuple(self._interim[:MAX_INTERIM])  # the rest comes with the next ones
        try:
            action = self._renewer.heartbeat(self._lease, interim)
        except LeaseLost as error:
            self._lost = error.detail
            return False
        except RankspaceError as error:
            level = log.info if isinstance(error, Unreachable) else log.warning
            level("heartbeat_failed", trial=self._lease.trial_id, problem=error.detail)
            return False
        except Exception:  # whatever it is: a thread that ends loses the lease
            log.exception("heartbeat_crashed", trial=self._lease.trial_id)
            return False
        with self._lock:
            del self._interim[: len(interim)]
        self._obey(action)
        return True

    def _obey(self, action: Action) -> None:
        if action is Action.CANCEL:
            self._lost = f"trial {self._lease.trial_id} was cancelled"
        self._stopped = self._stopped or action is Action.STOP
        self.draining = self.draining or action is Action.DRAIN
