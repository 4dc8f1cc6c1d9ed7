"""The checker: a clean history passes, and each planted fault is found by its name."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from bench.chaos.history import (
    CLOCK_STEP_SECONDS,
    SLACK_SECONDS,
    Acknowledged,
    Counted,
    Event,
    Findings,
    History,
    check,
)

CLEAN = History(
    states={1: "done", 2: "failed", 3: "cancelled", 4: "dead"},
    events=[
        Event(1, "claimed", 1, 0.0),
        Event(2, "claimed", 1, 0.0),
        Event(1, "expired", 1, 1.0),
        Event(1, "claimed", 2, 1.1),
        Event(1, "done", 2, 2.0),
        Event(2, "released", 1, 2.0),
        Event(2, "claimed", 2, 2.0),
        Event(2, "expired", 2, 3.0),
        Event(2, "failed", 2, 3.5),  # late, and nobody had claimed anew
        Event(3, "claimed", 1, 4.0),
        Event(4, "claimed", 5, 5.0),
        Event(4, "expired", 5, 6.0),
        Event(4, "dead", 5, 6.0),
    ],
    counted=[
        Counted(1, "st", 1, 2, -1.0),
        Counted(2, "st", 2, 2, None),
        Counted(4, "st", 3, 5, None),
    ],
    acknowledged=[Acknowledged(1, 2, -1.0)],
    refills=[0.4],
)

Plant = Callable[[History], History]


def _events(*more: Event) -> Plant:
    return lambda clean: replace(clean, events=[*clean.events, *more])


def _counted(*rows: Counted) -> Plant:
    return lambda clean: replace(clean, counted=[*clean.counted, *rows])


def _set(history: History, seconds: float) -> History:
    """The clock was set by ``seconds`` when the first trial had been claimed."""
    later = [replace(event, at=event.at + seconds) for event in history.events[2:]]
    return replace(history, events=[*history.events[:2], *later])


PLANTED: dict[str, tuple[str, Plant]] = {
    "a trial left over": ("lost", lambda c: replace(c, states={**c.states, 9: "running"})),
    "an end without a result": ("lost", lambda c: replace(c, counted=c.counted[1:])),
    "an acknowledged report is gone": (
        "lost",
        lambda c: replace(c, acknowledged=[Acknowledged(2, 2, -3.0)]),
    ),
    "a study without an end": ("lost", lambda c: replace(c, unfinished=["st"])),
    "two ends": ("double", _events(Event(1, "done", 2, 9.0))),
    "two results": ("double", _counted(Counted(1, "st", 4, 2, -1.0))),
    "a gap in the places": (
        "double",
        lambda c: replace(c, counted=[*c.counted[:2], replace(c.counted[2], sequence=5)]),
    ),
    "the result of an earlier claim": (
        "stale",
        lambda c: replace(c, counted=[replace(c.counted[0], token=1), *c.counted[1:]]),
    ),
    "the result of no claim": (
        "stale",
        lambda c: replace(c, events=[e for e in c.events if e.trial != 4]),
    ),
    "handed out twice": ("order", _events(Event(3, "claimed", 2, 9.0))),
    "a token again": (
        "order",
        _events(Event(3, "expired", 1, 9.0), Event(3, "claimed", 1, 9.1)),
    ),
    "a claimed trial that vanished": ("lost", _events(Event(9, "claimed", 1, 9.0))),
    "taken before its lease was over": (
        "order",
        lambda c: replace(c, lease_seconds=SLACK_SECONDS + 1.01),
    ),
    "taken because the clock was set on": (
        "order",
        lambda c: replace(_set(c, CLOCK_STEP_SECONDS - 0.95), lease_seconds=SLACK_SECONDS + 1.0),
    ),
    "taken by an expiry nobody had": (
        "order",
        lambda c: replace(c, events=[replace(c.events[2], token=99), *c.events[:2], *c.events[3:]]),
    ),
    "an end with another token": (
        "order",
        lambda c: replace(c, events=[*c.events[:4], replace(c.events[4], token=7), *c.events[5:]]),
    ),
    "a cancelled trial that counts": ("stale", _counted(Counted(3, "st", 4, 1, -1.0))),
    "another proposal": ("model", lambda c: replace(c, mismatches=1)),
    "a board that stays wrong": ("slow", lambda c: replace(c, refills=[5.1])),
}


def test_a_clean_history_passes() -> None:
    assert check(CLEAN) == Findings()
    assert check(replace(CLEAN, lease_seconds=SLACK_SECONDS + 1.0)) == Findings()


@pytest.mark.parametrize("seconds", [CLOCK_STEP_SECONDS, -CLOCK_STEP_SECONDS])
def test_a_clock_that_was_set_makes_no_lease_longer_or_shorter(seconds: float) -> None:
    found = check(replace(_set(CLEAN, seconds), lease_seconds=SLACK_SECONDS + 1.0))
    assert found == Findings()


def test_who_came_back_may_lose_what_it_held_before() -> None:
    early = replace(CLEAN.events[2], at=0.1, cause="restarted")
    events = [*CLEAN.events[:2], early, *CLEAN.events[3:]]
    assert check(replace(CLEAN, events=events, lease_seconds=SLACK_SECONDS + 1.0)) == Findings()


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    kind, plant = PLANTED[name]
    assert getattr(check(plant(CLEAN)), kind)
