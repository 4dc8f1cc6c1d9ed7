"""Browser sessions: a one-time code becomes a cookie that may read, and press the pages' buttons.

A session reaches as far as the key that asked for its code, and ends with it.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from rankspace.errors import Unauthenticated
from service.access.caller import Caller
from service.access.keys import IS_LIVE, Keys, caller_of, digest
from service.storage.clock import Now
from service.storage.tables import KeyRow, LoginCodeRow, LoginSessionRow

CODE_SECONDS = 600
SESSION_SECONDS = 12 * 3600


@dataclass(frozen=True, slots=True)
class Credential:
    """What a long answer was opened with.

    Attributes:
        key: Identity of the key.
        session: Digest of the browser session, if one was used.
    """

    key: str
    session: str | None = None


class Logins:
    """The only place that touches login codes and sessions; both are stored as digests."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def offer(self, key: str) -> str:
        """Make a code that is good for one login within ten minutes, with the reach of ``key``."""
        code = secrets.token_urlsafe(24)
        expires = Now() + CODE_SECONDS
        self._session.add(LoginCodeRow(digest=digest(code), key_id=key, expires_at=expires))
        self._forget_expired()
        return code

    def redeem(self, code: str) -> str:
        """Exchange ``code`` for the secret of a new session.

        Raises:
            Unauthenticated: Unknown, used or expired.
        """
        good = (LoginCodeRow.digest == digest(code)) & (LoginCodeRow.expires_at > Now())
        used = self._session.execute(
            delete(LoginCodeRow).where(good).returning(LoginCodeRow.key_id)
        )
        key = used.scalar()
        if key is None:
            raise Unauthenticated("the login code is not valid", hint="ask for a new one")
        secret = secrets.token_urlsafe(32)
        expires = Now() + SESSION_SECONDS
        row = LoginSessionRow(digest=digest(secret), key_id=key, expires_at=expires)
        self._session.add(row)
        return secret

    def caller(self, secret: str) -> Caller | None:
        """Tell whose session this is; None when it is over, or its key is."""
        known = (LoginSessionRow.digest == digest(secret)) & (LoginSessionRow.expires_at > Now())
        owner = select(KeyRow).join(LoginSessionRow, LoginSessionRow.key_id == KeyRow.id)
        row = self._session.scalar(owner.where(known, IS_LIVE))
        return caller_of(row) if row else None

    def end(self, secret: str) -> None:
        """Let the session's secret in no more, wherever else it may lie."""
        mine = LoginSessionRow.digest == digest(secret)
        self._session.execute(delete(LoginSessionRow).where(mine))

    def live(self, digests: Collection[str]) -> frozenset[str]:
        """Which of these digests are of sessions that are not over, whatever became of the key."""
        mine = LoginSessionRow.digest.in_(digests) & (LoginSessionRow.expires_at > Now())
        return frozenset(self._session.scalars(select(LoginSessionRow.digest).where(mine)))

    def _forget_expired(self) -> None:
        for table in (LoginCodeRow, LoginSessionRow):
            self._session.execute(delete(table).where(table.expires_at < Now()))


def good_credentials(session: Session, asked: Collection[Credential]) -> frozenset[Credential]:
    """Which of ``asked`` are neither revoked nor over, in two queries however many there are."""
    keys = Keys(session).live({credential.key for credential in asked})
    digests = {credential.session for credential in asked if credential.session is not None}
    sessions: frozenset[str | None] = Logins(session).live(digests) | {None}
    return frozenset(one for one in asked if one.key in keys and one.session in sessions)
