"""Standing: what a stream was opened with, and whether that still lets anybody in."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.orm import Session

from service.keys import Keys
from service.logins import Logins


@dataclass(frozen=True, slots=True)
class Standing:
    """Attributes: identity of the key, and digest of the browser session if one was used."""

    key: str
    session: str | None = None


def in_good_standing(session: Session, asked: Collection[Standing]) -> frozenset[Standing]:
    """Which of ``asked`` are neither revoked nor over, in two queries however many there are."""
    keys = Keys(session).live({standing.key for standing in asked})
    digests = {standing.session for standing in asked if standing.session is not None}
    sessions: frozenset[str | None] = Logins(session).live(digests) | {None}
    return frozenset(one for one in asked if one.key in keys and one.session in sessions)
