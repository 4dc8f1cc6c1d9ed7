"""Hints: queued trials announced in Redis, so that idle workers wake at once and one at a time.

Redis only rings. The board is written anew every ``EVERY_SECONDS`` from what the database says is
queued, whatever Redis holds: adding what is there changes nothing, what is missing comes back, and
what nobody can claim any more goes. So Redis may be slow, wiped, restarted or away, and that costs
latency only. A hint is a trial's number and nothing else: no secret lies in Redis, and whoever can
write to it can wake workers, and do nothing more.
"""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from redis import Redis
from redis.exceptions import ResponseError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from rankspace.errors import InvalidInput
from rankspace.lease import queue_names
from service.storage.db import Database
from service.storage.tables import ModelRow, StudyRow, TrialRow
from service.trials.repository import IS_CLAIMABLE

log = structlog.get_logger(__name__)

EVERY_SECONDS = 2.0
HEAD_START_SECONDS = 0.5
"""How long only workers with the model at hand hear of a new trial: loading it takes longer."""

MOST = 2_000
"""Trials announced at a time, the next ones first."""

TIMEOUT_SECONDS = 1.0

_QUEUED = (
    select(
        TrialRow.id,
        TrialRow.priority,
        StudyRow.gpu_memory_gib,
        StudyRow.gpu_need_gib,
        StudyRow.architecture,
        ModelRow.fingerprint,
    )
    .join(StudyRow, StudyRow.id == TrialRow.study_id)
    .join(ModelRow, ModelRow.id == StudyRow.model_id)
    .where(IS_CLAIMABLE)
    .order_by(TrialRow.priority.desc(), TrialRow.id)
    .limit(MOST)
)


@dataclass(frozen=True, slots=True)
class Queued:
    """A trial anyone may claim who meets its needs."""

    trial: int
    priority: int
    gpu_memory_gib: float
    gpu_need_gib: float
    architecture: str
    fingerprint: str

    @property
    def score(self) -> float:
        """Position in a sorted set: by priority, then by age."""
        return self.trial - self.priority * 1e12

    def queues(self, *, is_new: bool) -> tuple[str, ...]:
        model = queue_names.of_model(self.fingerprint)
        return (model,) if is_new else (model, *self._needs())

    def _needs(self) -> tuple[str, ...]:
        if self.gpu_memory_gib >= self.gpu_need_gib:
            return (queue_names.of_need(self.gpu_memory_gib, self.architecture),)
        of_gpus = queue_names.of_need(self.gpu_need_gib, self.architecture)
        return (of_gpus, queue_names.without_gpu(self.architecture))


class Hints:
    """A thread that keeps the board in Redis equal to the queue in the database.

    Raises:
        InvalidInput: ``url`` is no address.
    """

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._redis = _connection(url)
        self._rung = threading.Event()
        self._stopping = False
        self._since: dict[int, float] = {}
        self._known: set[bytes] = set()
        self._strange: set[bytes] = set()
        """Keys of ours that hold something else; they are left alone."""
        self._thread = threading.Thread(target=self._work, name="hints", daemon=True)
        self.is_up: bool | None = None
        """Whether Redis answered the last time; None before the first."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._rung.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=5 * TIMEOUT_SECONDS)
        self._redis.close()

    def ring(self) -> None:
        """There may be new work: do not wait for the next turn."""
        self._rung.set()

    def publish(self) -> bool:
        """Make the board right once; return whether a trial still has its head start."""
        queued = self._queued()
        new = self._new(queued)
        self._write(_board(queued, new))
        return bool(new)

    def _new(self, queued: Iterable[Queued]) -> set[int]:
        """Trials that still have their head start."""
        now = time.monotonic()
        self._since = {one.trial: self._since.get(one.trial, now) for one in queued}
        return {trial for trial, since in self._since.items() if now - since < HEAD_START_SECONDS}

    def _work(self) -> None:
        has_new = False
        while not self._stopping:
            self._rung.wait(HEAD_START_SECONDS if has_new else EVERY_SECONDS)
            self._rung.clear()
            has_new = self._turn()

    def _turn(self) -> bool:
        try:
            has_new = self.publish()
        except SQLAlchemyError as error:
            log.error("hints have to wait", problem=str(error))
            return False
        except Exception as error:  # noqa: BLE001  # its reader stumbles over garbage in any way
            self._note(False, error)
            self._redis.connection_pool.disconnect()  # what is still to come is no answer
            time.sleep(HEAD_START_SECONDS)  # rings may be many, and a dead Redis needs none
            return False
        self._note(True)
        return has_new

    def _note(self, is_up: bool, error: Exception | None = None) -> None:
        if is_up is not self.is_up:
            say = log.info if is_up else log.error
            say("redis", up=is_up, problem=f"{type(error).__name__}: {error}" if error else None)
        self.is_up = is_up

    def _queued(self) -> list[Queued]:
        with self._database.reading() as session:
            return [Queued(*row) for row in session.execute(_QUEUED)]

    def _write(self, board: Mapping[bytes, Mapping[bytes, float]]) -> None:
        """Two round trips, whatever the number of queues."""
        if self.is_up is not True:  # what another service announced before
            self._known |= set(self._redis.scan_iter(f"{queue_names.PREFIX}*", count=1_000))
        self._known |= set(board)
        there = self._there(sorted(self._known))
        with self._redis.pipeline(transaction=False) as pipeline:
            for key, members in there.items():
                wanted = board.get(key, {})
                if stale := members - set(wanted):
                    pipeline.zrem(key, *stale)
                if missing := {m: s for m, s in wanted.items() if m not in members}:
                    pipeline.zadd(key, missing, nx=True)
            pipeline.execute()
        self._known = set(board)

    def _there(self, keys: Sequence[bytes]) -> dict[bytes, set[bytes]]:
        """What each key holds now, but for keys that hold something else than a queue."""
        if not keys:
            return {}
        with self._redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.zrange(key, 0, -1)
            found = dict(zip(keys, pipeline.execute(raise_on_error=False), strict=True))
        strange = {key for key, members in found.items() if _is_of_another_type(members)}
        if strange - self._strange:
            names = [key.decode(errors="replace") for key in sorted(strange)]
            log.error("no queues in Redis", keys=names, fix="delete these keys")
        self._strange = strange
        return {key: set(found[key]) for key in keys if key not in strange}


def _is_of_another_type(answer: object) -> bool:
    """Whether Redis said so; any other error is its own."""
    if isinstance(answer, ResponseError) and str(answer).startswith("WRONGTYPE"):
        return True
    if isinstance(answer, Exception):
        raise answer
    return False


def _connection(url: str) -> Redis:
    try:
        return Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
        )
    except ValueError:  # which quotes the address, and so the password
        fix = "use redis://[USER:PASSWORD@]HOST[:PORT], rediss:// for TLS; escape the password"
        raise InvalidInput("redis_url", "***", "is no address", fix=fix) from None


def _board(queued: Iterable[Queued], new: set[int]) -> dict[bytes, dict[bytes, float]]:
    """Sorted sets by queue: trial to score. As bytes: others may write what is no text."""
    board: dict[bytes, dict[bytes, float]] = {}
    for one in queued:
        for queue in one.queues(is_new=one.trial in new):
            board.setdefault(queue.encode(), {})[b"%d" % one.trial] = one.score
    return board
