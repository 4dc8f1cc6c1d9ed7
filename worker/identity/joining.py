"""Joining: which key a worker sends, and how it gets one of its own."""

from pathlib import Path

import structlog

from rankspace.errors import InvalidInput, Unreachable
from worker.identity.own_key import OwnKey
from worker.lease.client import LeaseClient
from worker.lease.drain import Drain
from worker.settings import Settings

log = structlog.get_logger(__name__)


def key_of(settings: Settings, drain: Drain, local: Path | None = None) -> str:
    """Return the key to send: the one given, the one it joined with, or the machine's.

    Args:
        settings: May hold a key, or a join token for the first start.
        drain: Ends the wait for a service that is away.
        local: File of a key that a service on this machine left for its workers.

    Raises:
        InvalidInput: There is none, its file cannot be read, or a worker is to join without a name.
        Unauthenticated, Conflict: The service does not take the join token, or the name.
    """
    own = OwnKey.of(settings)
    if own is not None and (stored := own.read()):
        return stored
    token = settings.token()
    if token is None or settings.key or settings.key_file:
        return settings.secret(local)
    if own is None:
        fix = "set RANKADAPTOR_WORKER or --name, always the same for this worker"
        raise InvalidInput("worker", None, "a key is bound to a name that stays", fix=fix)
    return own.store(lambda: _join(settings, token, drain))


def _join(settings: Settings, token: str, drain: Drain) -> str:
    """Ask until somebody answers."""
    with LeaseClient(settings.url, None, settings.worker) as client:
        while True:
            try:
                key = client.join(token)
            except Unreachable as error:
                log.warning("service_away", problem=error.detail)
                drain.sleep(settings.away_seconds)
            else:
                log.info("worker_joined", worker=settings.worker, id=key.split("_")[1])
                return key
