"""Browser sessions: a one-time code becomes a cookie that may read, never write."""

import secrets

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from rankspace.errors import Unauthenticated
from service.clock import Now
from service.keys import digest
from service.tables import LoginCodeRow, LoginSessionRow

CODE_SECONDS = 600
SESSION_SECONDS = 12 * 3600


class Logins:
    """The only place that touches login codes and sessions; both are stored as digests."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def offer(self) -> str:
        """Make a code that is good for one login within ten minutes."""
        code = secrets.token_urlsafe(24)
        expires = Now() + CODE_SECONDS
        self._session.add(LoginCodeRow(digest=digest(code), expires_at=expires))
        self._forget_expired()
        return code

    def redeem(self, code: str) -> str:
        """Exchange ``code`` for the secret of a new session.

        Raises:
            Unauthenticated: Unknown, used or expired.
        """
        good = (LoginCodeRow.digest == digest(code)) & (LoginCodeRow.expires_at > Now())
        used = self._session.execute(delete(LoginCodeRow).where(good).returning(LoginCodeRow))
        if used.first() is None:
            raise Unauthenticated("the login code is not valid", hint="ask for a new one")
        secret = secrets.token_urlsafe(32)
        expires = Now() + SESSION_SECONDS
        self._session.add(LoginSessionRow(digest=digest(secret), expires_at=expires))
        return secret

    def is_open(self, secret: str) -> bool:
        known = (LoginSessionRow.digest == digest(secret)) & (LoginSessionRow.expires_at > Now())
        return bool(self._session.scalar(select(exists().where(known))))

    def _forget_expired(self) -> None:
        for table in (LoginCodeRow, LoginSessionRow):
            self._session.execute(delete(table).where(table.expires_at < Now()))
