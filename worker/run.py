"""Wiring: from settings to a working worker."""

from pathlib import Path

import structlog
import torch

from rankspace.errors import InvalidInput, RankspaceError, Unauthenticated
from tuning.token_cache import TokenCache
from worker import logs
from worker.identity.joining import key_of
from worker.identity.own_key import OwnKey
from worker.lease.client import LeaseClient
from worker.lease.drain import Drain, Drained
from worker.lease.hints import RedisHints
from worker.lease.loop import Patience, Worker
from worker.lease.spool import Spool
from worker.settings import Settings
from worker.trial.checkpoints import Checkpoints
from worker.trial.evaluation import Evaluator
from worker.trial.reach import Reach

log = structlog.get_logger(__name__)


def run(settings: Settings, local_key: Path | None = None) -> int:
    """Work until drained or out of patience; return the exit status, 0.

    Args:
        settings: How.
        local_key: File with a key for want of another.

    Raises:
        RankspaceError: The operator must act first; it is in the log, too.
    """
    logs.configure(settings.log_format, settings.log_level)
    try:
        try:
            _work(settings, local_key)
        except Unauthenticated as error:
            own = OwnKey.of(settings)
            if own is None or own.read() is None:
                raise
            raise own.refused(error) from error
    except RankspaceError as error:
        log.error("worker_stopped", problem=error.detail, fix=error.hint)
        raise
    return 0


def device_of(settings: Settings) -> torch.device:
    """Return the device to run on.

    Raises:
        InvalidInput: A GPU is asked for where torch sees none.
    """
    available = torch.cuda.is_available()
    if settings.device == "cuda" and not available:
        raise InvalidInput("device", "cuda", "torch sees no GPU", fix="use auto or cpu")
    return torch.device("cuda" if available and settings.device != "cpu" else "cpu")


def _work(settings: Settings, local_key: Path | None) -> None:
    device = device_of(settings)
    if settings.cpu_threads is not None:
        torch.set_num_threads(settings.cpu_threads)
    drain = Drain()
    drain.install()
    spool = Spool(settings.spool_directory)
    spool.sweep()
    log.info("worker_started", worker=settings.worker, url=settings.url, device=str(device))
    try:
        key = key_of(settings, drain, local_key)
    except Drained:
        log.info("worker_left", trials=0)
        return
    with _client(settings, key, 3) as service, _client(settings, key, 1) as renewer:
        trials = Worker(
            settings.worker,
            service,
            renewer,
            Evaluator(
                device,
                reach=_reach(settings, local_key),
                tokens=_tokens(settings),
                checkpoints=_checkpoints(settings, drain),
            ),
            spool,
            drain=drain,
            patience=_patience(settings),
            hints=RedisHints(settings.redis_url.get_secret_value()) if settings.redis_url else None,
        ).run()
    log.info("worker_left", trials=trials)


def _reach(settings: Settings, local_key: Path | None) -> Reach:
    own = (
        settings.key_file,
        settings.join_token_file,
        settings.spool_directory,
        settings.token_directory,
    )
    home = local_key.parent if local_key else None
    return Reach(settings.roots, [path for path in (*own, home) if path])


def _tokens(settings: Settings) -> TokenCache:
    def told(error: OSError) -> None:
        log.warning("tokens_not_kept", problem=error.strerror or str(error))

    return TokenCache(settings.token_directory, told=told)


def _checkpoints(settings: Settings, drain: Drain) -> Checkpoints | None:
    if not settings.checkpoint_minutes:
        return None
    every = 60 * settings.checkpoint_minutes
    grace = settings.grace_seconds
    return Checkpoints(settings.spool_directory, every, lambda: drain.left_of(grace))


def _client(settings: Settings, key: str, attempts: int) -> LeaseClient:
    return LeaseClient(settings.url, key, settings.worker, attempts=attempts)


def _patience(settings: Settings) -> Patience:
    return Patience(
        wait_seconds=settings.wait_seconds,
        away_seconds=settings.away_seconds,
        max_trials=settings.max_trials,
        until_idle_seconds=settings.until_idle_seconds,
        grace_seconds=settings.grace_seconds,
        stuck_seconds=settings.stuck_seconds,
    )
