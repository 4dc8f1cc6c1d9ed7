"""Join tokens: ``rkj_<id>_<secret>_<checksum>``. Only the secret's SHA-256 is stored."""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from rankspace.errors import Conflict, NotFound, Unauthenticated
from service.access.caller import WorkerIdentity
from service.access.keys import IssuedKey, Keys, digest, parsed, random_text, signed
from service.storage.clock import Now, timestamp
from service.storage.scope import Scope
from service.storage.tables import JoinTokenRow
from service.trials.repository import changed
from service.workers.repository import Workers

PREFIX = "rkj"
HOUR_SECONDS = 3600.0
_FORM = re.compile(rf"({PREFIX}_([a-z2-7]{{8}})_([a-z2-7]{{32}}))_([0-9a-f]{{8}})")

_IS_GOOD = (
    (JoinTokenRow.uses_left > 0)
    & JoinTokenRow.revoked_at.is_(None)
    & (JoinTokenRow.expires_at > Now())
)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A join token as it is seen once; ``token`` is the secret."""

    id: str
    name: str
    token: str
    project: str
    uses_left: int
    expires_at: str | None


class JoinTokens:
    """The only place that touches the table of join tokens. Never commits."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def issue(self, name: str, project: str, uses: int, hours: float) -> IssuedToken:
        """Store a new token and return it; this is the only time its secret is seen."""
        secret = random_text(32)
        row = JoinTokenRow(id=random_text(8), digest=digest(secret), name=name, project=project)
        row.uses_left, row.expires_at = uses, Now() + hours * HOUR_SECONDS
        self._session.add(row)
        self._session.flush()
        shown = signed(PREFIX, row.id, secret)
        return IssuedToken(row.id, name, shown, project, uses, timestamp(row.expires_at))

    def check(self, token: str) -> JoinTokenRow:
        """Return what the token stands for, without using it up.

        Raises:
            Unauthenticated: Malformed, unknown, expired, revoked or used up; the answer does not
                say which.
        """
        identity, sent, is_whole = parsed(_FORM, token)
        row = self._session.scalar(
            select(JoinTokenRow).where(JoinTokenRow.id == identity, _IS_GOOD)
        )
        expected = row.digest if row else digest("")
        matches = hmac.compare_digest(sent, expected)
        if row is None or not (is_whole and matches):
            raise _not_valid()
        return row

    def use(self, identity: str) -> None:
        """Take one use from a token that was checked; of several at once no more than are left.

        Raises:
            Unauthenticated: There is none left by now.
        """
        used = update(JoinTokenRow).where(JoinTokenRow.id == identity, _IS_GOOD)
        less = used.values(uses_left=JoinTokenRow.uses_left - 1)
        quiet = less.execution_options(synchronize_session=False)
        if not changed(self._session.execute(quiet)):
            raise _not_valid()

    def page(self, cursor: str, limit: int, scope: Scope) -> Sequence[JoinTokenRow]:
        """List tokens by identity, those that are good no more included."""
        mine = select(JoinTokenRow).where(
            JoinTokenRow.id > cursor, scope.bounds(JoinTokenRow.project)
        )
        return self._session.scalars(mine.order_by(JoinTokenRow.id).limit(limit)).all()

    def revoke(self, token: str, scope: Scope) -> None:
        """Let the token with this identity make no more keys; repeating it changes nothing.

        Raises:
            NotFound: There is no such token in ``scope``.
        """
        row = self._session.get(JoinTokenRow, token)
        if row is None or not scope.admits(row.project):
            hint = "GET /v1/join-tokens lists them"
            raise NotFound(f"there is no join token {token!r}", hint=hint)
        if row.revoked_at is None:
            now = update(JoinTokenRow).where(JoinTokenRow.id == token).values(revoked_at=Now())
            self._session.execute(now.execution_options(synchronize_session=False))


def join(session: Session, token: str, worker: str) -> IssuedKey:
    """Exchange a join token for a key, in one transaction.

    Uses ``token`` up once and binds a new key to ``worker``: both or neither.

    Raises:
        Unauthenticated: The token is not valid.
        Conflict: The name is a worker's that has a key, or that works for other projects.
    """
    known = JoinTokens(session).check(token)
    workers = Workers(session)
    workers.add(worker, known.project)
    workers.lock(worker)  # two that join by one name take turns
    _check_name(workers, worker, Scope(known.project))
    workers.touch(worker, WorkerIdentity(known.project, is_bound=True))
    issued = Keys(session).bind(worker, f"joined with {known.id}", known.project)
    JoinTokens(session).use(known.id)
    return issued


def _check_name(workers: Workers, worker: str, scope: Scope) -> None:
    """A name carries rights: who has it may be quarantined by the admin of its project."""
    owner = workers.get(worker).project
    if not scope.admits(owner):
        hint = "choose another name: RANKADAPTOR_WORKER or --name"
        raise Conflict(f"worker {worker!r} works for other projects", hint=hint)


def _not_valid() -> Unauthenticated:
    return Unauthenticated("the join token is not valid", hint="ask an admin for a new one")
