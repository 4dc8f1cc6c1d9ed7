"""API keys: ``rka_<id>_<secret>``. Only the secret's SHA-256 is stored."""

import hashlib
import hmac
import os
import re
import secrets
from enum import StrEnum
from pathlib import Path

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from rankspace.errors import Unauthenticated
from service.tables import KeyRow

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_FORM = re.compile(r"rka_([a-z2-7]{8})_([a-z2-7]{32})")


class Role(StrEnum):
    ADMIN = "admin"
    WORKER = "worker"


def random_text(length: int) -> str:
    """Random base32 text, 5 bits per character."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


class Keys:
    """The only place that touches the table of keys."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def exist(self) -> bool:
        return bool(self._session.scalar(select(exists().where(KeyRow.id.is_not(None)))))

    def issue(self, role: Role) -> str:
        """Store a new key and return it; this is the only time its secret is seen."""
        key_id, secret = random_text(8), random_text(32)
        self._session.add(KeyRow(id=key_id, digest=digest(secret), role=role.value))
        return f"rka_{key_id}_{secret}"

    def role_of(self, key: str) -> Role:
        """Look ``key`` up.

        Raises:
            Unauthenticated: Malformed, unknown or revoked; the answer does not say which.
        """
        form = _FORM.fullmatch(key)
        row = self._session.get(KeyRow, form[1]) if form else None
        expected = row.digest if row else digest("")
        matches = hmac.compare_digest(digest(form[2] if form else "-"), expected)
        if row is None or not matches or row.revoked_at is not None:
            raise Unauthenticated("the key is not valid", hint="send a current key")
        return Role(row.role)


def issue_first(session: Session, directory: Path) -> None:
    """On an empty table make one key per role, each in its own file only the owner can read."""
    keys = Keys(session)
    if keys.exist():
        return
    for role in Role:
        _write_secret(directory / f"{role.value}.key", keys.issue(role))


def _write_secret(path: Path, key: str) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(key + "\n")
