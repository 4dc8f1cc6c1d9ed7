"""OwnKey: the key a worker got by joining, in a file that only its owner can read."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rankspace.errors import InvalidInput, Unauthenticated
from worker.private_file import private_file
from worker.settings import Settings


@dataclass(frozen=True, slots=True)
class OwnKey:
    """The key of one worker, beside its undelivered reports.

    Attributes:
        path: Named after a digest of the worker's name, which may hold any character.
    """

    path: Path

    @classmethod
    def of(cls, settings: Settings) -> "OwnKey | None":
        """Return where it is; None for a worker with another key, or whose name will change."""
        if settings.key or settings.key_file or "worker" not in settings.model_fields_set:
            return None
        digest = hashlib.sha256(settings.worker.encode()).hexdigest()[:16]
        return cls(settings.spool_directory / f"worker-{digest}.key")

    def read(self) -> str | None:
        """Return the key; None if it was not stored yet."""
        try:
            return self.path.read_text(encoding="ascii").strip() or None
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._cannot("be read", error) from error

    def store(self, obtain: Callable[[], str]) -> str:
        """Obtain the key, which is seen once, and store it completely or not at all.

        Raises:
            InvalidInput: It could not be stored; found out before it is asked for.
        """
        try:
            with private_file(self.path) as file:
                key = obtain()
                file.write(f"{key}\n")
        except OSError as error:
            raise self._cannot("be written", error) from error
        return key

    def refused(self, error: Unauthenticated) -> Unauthenticated:
        """Say what to do about a stored key that the service does not take any more."""
        hint = (
            f"it was revoked: delete {self.path}, set RANKADAPTOR_JOIN_TOKEN to a new token "
            "(rankadaptor keys join-token) and start again"
        )
        return Unauthenticated(f"{error.detail}; it is the one in {self.path}", hint=hint)

    def _cannot(self, what: str, error: OSError) -> InvalidInput:
        fix = "set RANKADAPTOR_SPOOL_DIRECTORY to a directory of the worker's own"
        problem = f"cannot {what}: {error.strerror}"
        return InvalidInput("spool_directory", str(self.path), problem, fix=fix)
