"""Limits: how much of this process each caller may have. In memory, so each process has its own."""

from contextlib import AbstractContextManager

from rankspace.errors import TooManyRequests
from service.access.buckets import Buckets
from service.access.caller import Caller, Role
from service.access.neighbours import neighbourhood
from service.access.refusals import Refusals
from service.access.slots import Slots
from service.settings import Settings

FLEET = 10
"""A worker key is often shared by a whole fleet: it has so many times a person's share."""

STRANGER = 0.1
"""Of a person's share, for all requests without a valid key from one address."""


class Limits:
    """Admits or refuses; see ``requests_per_second`` in the settings."""

    def __init__(self, settings: Settings) -> None:
        def buckets(factor: float) -> Buckets:
            rate, burst = settings.requests_per_second, settings.request_burst
            return Buckets(rate * factor, max(burst * factor, 1.0))

        self._people, self._fleets, self._strangers = map(buckets, (1.0, FLEET, STRANGER))
        self._refusals = Refusals()
        self._polls = Slots(
            "waits for trials",
            "give the fleet a second worker key, or raise RANKADAPTOR_POLLS_PER_KEY",
            settings.polls_per_key,
        )
        self._streams = Slots(
            "follows events",
            "close some pages, or raise RANKADAPTOR_STREAMS_PER_KEY",
            settings.streams_per_key,
            (settings.streams, "come back later, or raise RANKADAPTOR_STREAMS"),
        )
        self._looks = Slots(
            "looks closely at studies",
            "wait for those answers first, or raise RANKADAPTOR_LOOKS_PER_KEY",
            settings.looks_per_key,
        )

    def heed(self, shown: str) -> None:
        """Refuse who has just been refused, before anybody asks who it is.

        Raises:
            TooManyRequests: As ``admit`` did for the same digest.
        """
        self._refusals.check(shown)

    def admit(self, caller: Caller, shown: str = "") -> None:
        """Count a request of ``caller``, who is known by a secret of the digest ``shown``.

        Raises:
            TooManyRequests: Its key has used up its share.
        """
        buckets = self._fleets if caller.role is Role.WORKER else self._people
        try:
            _check(buckets.take(caller.key), f"key {caller.key} is used")
        except TooManyRequests as error:
            if shown:
                self._refusals.note(shown, error)
            raise

    def admit_stranger(self, address: str) -> None:
        """Count a request that showed no valid key.

        Raises:
            TooManyRequests: Too many came from ``address``.
        """
        _check(self._strangers.take(neighbourhood(address)), f"{address} asks without a valid key")

    def polling(self, caller: Caller) -> AbstractContextManager[None]:
        """Hold one of the long-polls that a key may have open at a time.

        Raises:
            TooManyRequests: All are in use.
        """
        return self._polls.held(caller.key)

    def streaming(self, caller: Caller) -> AbstractContextManager[None]:
        """Hold one of the event streams that a key may have open, and this process; raises so."""
        return self._streams.held(caller.key)

    def looking(self, caller: Caller) -> AbstractContextManager[None]:
        """Hold one of the dear looks at studies that a key may take at a time.

        Raises:
            TooManyRequests: All are in use.
        """
        return self._looks.held(caller.key)


def _check(seconds: float, who: str) -> None:
    if seconds > 0.0:
        detail = f"{who} too often"
        raise TooManyRequests(detail, hint="come back later", wait_seconds=seconds)
