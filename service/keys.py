"""API keys: ``rka_<id>_<secret>``. Only the secret's SHA-256 is stored."""

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import structlog
from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from rankspace.errors import Conflict, NotFound, Unauthenticated
from service.clock import Now
from service.tables import KeyRow

log = structlog.get_logger(__name__)

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


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key as its owner sees it once; ``key`` is the secret."""

    id: str
    role: Role
    name: str
    key: str


class Keys:
    """The only place that touches the table of keys."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def exist(self) -> bool:
        return bool(self._session.scalar(select(exists().where(KeyRow.id.is_not(None)))))

    def issue(self, role: Role, name: str) -> IssuedKey:
        """Store a new key and return it; this is the only time its secret is seen."""
        row = KeyRow(id=random_text(8), role=role.value, name=name)
        secret = random_text(32)
        row.digest = digest(secret)
        self._session.add(row)
        return IssuedKey(row.id, role, name, f"rka_{row.id}_{secret}")

    def revoke(self, key: str) -> None:
        """Let the key with this identity in no more; repeating it changes nothing.

        Raises:
            NotFound: There is no such key.
            Conflict: It is the last admin key that is let in.
        """
        row = self._session.get(KeyRow, key)
        if row is None:
            raise NotFound(f"there is no key {key!r}", hint="GET /v1/keys lists them")
        if row.revoked_at is None:
            self._check_other_admin(row)
            now = update(KeyRow).where(KeyRow.id == key).values(revoked_at=Now())
            self._session.execute(now.execution_options(synchronize_session=False))

    def _check_other_admin(self, row: KeyRow) -> None:
        live = (KeyRow.role == Role.ADMIN) & KeyRow.revoked_at.is_(None) & (KeyRow.id != row.id)
        others = self._session.scalar(select(exists().where(live)))
        if row.role == Role.ADMIN and not others:
            hint = "issue another admin key first: POST /v1/keys"
            raise Conflict(f"key {row.id} is the last admin key", hint=hint)

    def page(self, cursor: str, limit: int) -> Sequence[KeyRow]:
        """List keys by identity, revoked ones included."""
        found = select(KeyRow).where(KeyRow.id > cursor)
        return self._session.scalars(found.order_by(KeyRow.id).limit(limit)).all()

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


def issue_missing(session: Session, directory: Path | None) -> tuple[IssuedKey, ...]:
    """Issue one key per role at the very first start; later an admin key if its file is gone.

    Without a directory no file is missed: each of several services has its own.
    """
    keys = Keys(session)
    if not keys.exist():
        return tuple(keys.issue(role, "made at the first start") for role in reversed(Role))
    if directory is not None and not _file(directory, Role.ADMIN).exists():
        return (keys.issue(Role.ADMIN, "made because admin.key was missing"),)
    return ()


def store(directory: Path, issued: Iterable[IssuedKey]) -> None:
    """Write each key into its role's file, which only the owner can read.

    Comes after the commit, and the admin's last: whatever a crash leaves out, the next start finds
    no ``admin.key`` and issues another.
    """
    for key in issued:
        _write_secret(_file(directory, key.role), key.key)
        log.info("issued a key", key=key.id, role=key.role.value, reason=key.name)


def _file(directory: Path, role: Role) -> Path:
    return directory / f"{role.value}.key"


def _write_secret(path: Path, key: str) -> None:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(key + "\n")
