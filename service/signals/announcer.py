"""Announcer: tells the operator's webhook how a study ended, from a thread of its own."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import structlog
from tenacity import (
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential,
)

from rankspace.errors import InvalidInput, RankspaceError, Unreachable
from rankspace.study import StudyState
from service.settings import Settings
from service.signals.delivery import Delivery, check_url

log = structlog.get_logger(__name__)

ATTEMPTS = 3
LEAST_SECRET = 16
ENDS = (StudyState.DONE, StudyState.FAILED)


class Announcer:
    """Sends one message per end of a study; one that cannot be delivered is logged and lost.

    Args:
        delivery: Where to; None announces nothing.
        first_wait_seconds: Before the second attempt; doubled before the third.
    """

    def __init__(self, delivery: Delivery | None, first_wait_seconds: float = 1.0) -> None:
        self._delivery = delivery
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="webhooks")
        self._closing = threading.Event()
        self._retrying = Retrying(
            retry=retry_if_exception_type(Unreachable),
            stop=stop_after_attempt(ATTEMPTS) | stop_when_event_set(self._closing),
            sleep=sleep_using_event(self._closing),
            wait=wait_exponential(multiplier=first_wait_seconds),
            reraise=True,
        )

    def announce(self, study: str, state: StudyState) -> None:
        """Say that ``study`` has come to ``state``; returns at once."""
        if self._delivery is not None and state in ENDS:
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            self._thread.submit(self._send, study, {"study": study, "state": state, "at": at})

    def close(self) -> None:
        """Forget what still waits; what is being sent is tried no more than once more."""
        self._closing.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _send(self, study: str, message: dict[str, str]) -> None:
        assert self._delivery is not None
        try:
            self._retrying(self._delivery.send, json.dumps(message).encode())
        except RankspaceError as error:
            log.warning("webhook not delivered", study=study, problem=error.detail, fix=error.hint)
        else:
            log.info("webhook delivered", study=study, state=message["state"])


def announcer(settings: Settings) -> Announcer:
    """Make the one the settings ask for.

    Raises:
        InvalidInput: Webhooks are on, and the address or the secret cannot be used.
    """
    if not settings.webhooks:
        return Announcer(None)
    check_url(settings.webhook_url)
    return Announcer(Delivery(settings.webhook_url, _secret(settings)))


def _secret(settings: Settings) -> bytes:
    file = settings.webhook_secret_file
    try:
        secret = file.read_bytes().strip() if file else b""
    except OSError as error:
        raise InvalidInput("webhook_secret_file", str(file), str(error), fix="name it") from None
    if len(secret) < LEAST_SECRET:
        fix = f"write at least {LEAST_SECRET} random characters into it"
        raise InvalidInput("webhook_secret_file", str(file), "holds no secret", fix=fix)
    return secret
