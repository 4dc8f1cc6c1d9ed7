"""API keys: ``rka_<id>_<secret>_<checksum>``. Only the secret's SHA-256 is stored.

The checksum lets secret scanners tell a key from other text. Keys of before it had none and stay
valid.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, exists, func, or_, select, update
from sqlalchemy.orm import Session

from rankspace.errors import Conflict, NotFound, Unauthenticated
from service.access.caller import Caller, Role
from service.storage.clock import Now, timestamp
from service.storage.scope import ALL, EVERYTHING, Scope
from service.storage.tables import KeyRow

ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
DAY_SECONDS = 86_400
USE_SECONDS = 60.0  # how exactly the last use is known
PREFIX = "rka"
_FORM = re.compile(rf"({PREFIX}_([a-z2-7]{{8}})_([a-z2-7]{{32}}))(?:_([0-9a-f]{{8}}))?")

IS_LIVE = KeyRow.revoked_at.is_(None) & or_(KeyRow.expires_at.is_(None), KeyRow.expires_at > Now())
_IS_USED_ANEW = or_(KeyRow.last_used_at.is_(None), KeyRow.last_used_at < Now() - USE_SECONDS)
_SHOWN = select(KeyRow, IS_LIVE, _IS_USED_ANEW).where(KeyRow.id == bindparam("identity"))


def random_text(length: int) -> str:
    """Random base32 text, 5 bits per character."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def checksum(unsigned: str) -> str:
    """CRC-32 of the key up to there, in hexadecimal: no secret, and no proof of anything."""
    return f"{zlib.crc32(unsigned.encode()):08x}"


def signed(prefix: str, identity: str, secret: str) -> str:
    """Write a secret the way its owner keeps it, checksum included."""
    unsigned = f"{prefix}_{identity}_{secret}"
    return f"{unsigned}_{checksum(unsigned)}"


def parsed(form: re.Pattern[str], shown: str) -> tuple[str, str, bool]:
    """Return the identity, the secret's digest, and whether ``shown`` is of ``form`` and whole."""
    found = form.fullmatch(shown)
    if found is None:
        return "", digest("-"), False  # as much work as for a secret
    return found[2], digest(found[3]), found[4] in (None, checksum(found[1]))


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key as its owner sees it once; ``key`` is the secret."""

    id: str
    role: Role
    name: str
    key: str
    project: str
    expires_at: str | None
    worker: str | None = None


class Keys:
    """The only place that touches the table of keys."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def exist(self) -> bool:
        return bool(self._session.scalar(select(exists().where(KeyRow.id.is_not(None)))))

    def knows(self, key: str) -> bool:
        """Whether ``key`` was issued here, valid by now or not."""
        identity, _, _ = parsed(_FORM, key)
        return self._session.get(KeyRow, identity) is not None

    def issue(
        self, role: Role, name: str, project: str = ALL, days: float | None = None
    ) -> IssuedKey:
        """Store a new key and return it; this is the only time its secret is seen."""
        row = KeyRow(role=role.value, name=name, project=project)
        row.expires_at = None if days is None else Now() + days * DAY_SECONDS
        return self._store(row)

    def bind(self, worker: str, name: str, project: str) -> IssuedKey:
        """Store a new key that speaks for ``worker`` only; who calls has locked that worker.

        Raises:
            Conflict: The worker has such a key already.
        """
        mine = select(KeyRow.id).where(KeyRow.worker == worker, IS_LIVE).limit(1)
        other = self._session.scalar(mine)
        if other is not None:
            hint = f"revoke it first: rankadaptor keys revoke {other}; or choose another name"
            raise Conflict(f"worker {worker!r} has the key {other} already", hint=hint)
        return self._store(
            KeyRow(role=Role.WORKER.value, name=name, project=project, worker=worker)
        )

    def _store(self, row: KeyRow) -> IssuedKey:
        row.id, secret = random_text(8), random_text(32)
        row.digest = digest(secret)
        self._session.add(row)
        self._session.flush()
        shown, expires = signed(PREFIX, row.id, secret), timestamp(row.expires_at)
        return IssuedKey(row.id, Role(row.role), row.name, shown, row.project, expires, row.worker)

    def revoke(self, key: str, scope: Scope = EVERYTHING) -> None:
        """Let the key with this identity in no more; repeating it changes nothing.

        Raises:
            NotFound: There is no such key in ``scope``.
            Conflict: It is the last admin key for everything that never expires.
        """
        row = self._session.get(KeyRow, key)
        if row is None or not scope.admits(row.project):
            raise NotFound(f"there is no key {key!r}", hint="GET /v1/keys lists them")
        if row.revoked_at is None:
            self._check_other_admin(row)
            now = update(KeyRow).where(KeyRow.id == key).values(revoked_at=Now())
            self._session.execute(now.execution_options(synchronize_session=False))

    def _check_other_admin(self, row: KeyRow) -> None:
        lasting = (
            (KeyRow.role == Role.ADMIN) & (KeyRow.project == ALL) & KeyRow.expires_at.is_(None)
        )
        others = exists().where(lasting, KeyRow.revoked_at.is_(None), KeyRow.id != row.id)
        is_lasting = (row.role, row.project, row.expires_at) == (Role.ADMIN, ALL, None)
        if is_lasting and not self._session.scalar(select(others)):
            hint = "issue another admin key first: POST /v1/keys"
            raise Conflict(f"key {row.id} is the last admin key", hint=hint)

    def page(self, cursor: str, limit: int, scope: Scope = EVERYTHING) -> Sequence[KeyRow]:
        """List keys by identity, revoked ones included."""
        found = select(KeyRow).where(KeyRow.id > cursor, scope.bounds(KeyRow.project))
        return self._session.scalars(found.order_by(KeyRow.id).limit(limit)).all()

    def caller(self, key: str) -> tuple[Caller, bool]:
        """Look ``key`` up; also tell whether its use has yet to be noted for this minute.

        Raises:
            Unauthenticated: Malformed, unknown, revoked or expired; the answer does not say which.
        """
        identity, sent, is_whole = parsed(_FORM, key)
        found = self._session.execute(_SHOWN, {"identity": identity}).one_or_none()
        row, is_live, is_used_anew = found or (None, None, None)
        expected = row.digest if row else digest("")
        matches = hmac.compare_digest(sent, expected)
        if row is None or not (is_whole and matches and is_live):
            raise Unauthenticated("the key is not valid", hint="send a current key")
        return caller_of(row), bool(is_used_anew)

    def live(self, keys: Collection[str]) -> frozenset[str]:
        """Which of these identities are of keys that let somebody in."""
        return frozenset(
            self._session.scalars(select(KeyRow.id).where(KeyRow.id.in_(keys), IS_LIVE))
        )

    def count_live(self) -> int:
        return self._session.scalar(select(func.count()).where(IS_LIVE)) or 0

    def note_use(self, key: str) -> None:
        """Note that ``key`` let somebody in just now."""
        used = update(KeyRow).where(KeyRow.id == key, _IS_USED_ANEW).values(last_used_at=Now())
        self._session.execute(used.execution_options(synchronize_session=False))


def caller_of(row: KeyRow) -> Caller:
    return Caller(row.id, Role(row.role), Scope(row.project), row.worker)
