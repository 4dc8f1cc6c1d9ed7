"""Joining: a worker exchanges a token for a key of its own, inside the caller's transaction."""

from sqlalchemy.orm import Session

from rankspace.errors import Conflict
from service.joining.tokens import JoinTokens
from service.keys import IssuedKey, Keys
from service.scope import Scope
from service.voice import Voice
from service.workers.repository import Workers


def join(session: Session, token: str, worker: str) -> IssuedKey:
    """Use ``token`` up once and bind a new key to ``worker``: both or neither.

    Raises:
        Unauthenticated: The token is not valid.
        Conflict: The name is a worker's that has a key, or that works for other projects.
    """
    known = JoinTokens(session).check(token)
    workers = Workers(session)
    workers.add(worker, known.project)
    workers.lock(worker)  # two that join by one name take turns
    _check_name(workers, worker, Scope(known.project))
    workers.touch(worker, Voice(known.project, is_bound=True))
    issued = Keys(session).bind(worker, f"joined with {known.id}", known.project)
    JoinTokens(session).use(known.id)
    return issued


def _check_name(workers: Workers, worker: str, scope: Scope) -> None:
    """A name carries rights: who has it may be quarantined by the admin of its project."""
    owner = workers.get(worker).project
    if not scope.admits(owner):
        hint = "choose another name: RANKADAPTOR_WORKER or --name"
        raise Conflict(f"worker {worker!r} works for other projects", hint=hint)
