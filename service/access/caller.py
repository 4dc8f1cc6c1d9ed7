"""Caller: who sent a request, in which role, and how far that reaches."""

from dataclasses import dataclass
from enum import StrEnum

from rankspace.errors import Forbidden, WrongWorker
from service.storage.scope import DEFAULT_PROJECT, Scope, check_project


class Role(StrEnum):
    """What a key is for; ``docs/security.md`` has the table of who may do what."""

    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"
    WORKER = "worker"


READERS = (Role.ADMIN, Role.MEMBER, Role.VIEWER)
WRITERS = (Role.ADMIN, Role.MEMBER)


@dataclass(frozen=True, slots=True)
class WorkerIdentity:
    """How a key speaks for a worker. A name carries rights: not every key may use every name.

    Attributes:
        project: Of the key; ``*`` for one of all projects.
        is_bound: Whether the key is this worker's own.
    """

    project: str
    is_bound: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of a key, or of a browser session that a key opened.

    Attributes:
        key: Identity of the key, which is no secret.
        role: What it may do.
        scope: Where.
        worker: The one worker it speaks for; None for any.
    """

    key: str
    role: Role
    scope: Scope
    worker: str | None = None

    @property
    def identity(self) -> WorkerIdentity:
        """How it speaks for a worker that ``check_worker`` let it speak for."""
        return WorkerIdentity(self.scope.project, self.worker is not None)

    def check_worker(self, name: str) -> None:
        """Let a bound key speak for its own worker only.

        Raises:
            WrongWorker: ``name`` is another's.
        """
        if self.worker not in (None, name):
            raise WrongWorker(
                f"key {self.key} is bound to worker {self.worker!r}, not {name!r}",
                hint=f"set RANKADAPTOR_WORKER={self.worker}, or have {name!r} join with a token",
            )

    def target(self, project: str | None) -> str:
        """Return the project of what the caller makes: its own, or for a key of all any.

        Raises:
            InvalidInput: ``project`` cannot name one.
            Forbidden: The key is of another project.
        """
        own = DEFAULT_PROJECT if self.scope.is_everything else self.scope.project
        wanted = own if project is None else project
        check_project(wanted)
        if not self.scope.admits(wanted):
            hint = "leave the project out, or use one of its keys"
            raise Forbidden(f"this key is of project {self.scope.project!r}", hint=hint)
        return wanted
