"""Refusals that are not heeded cost little, however many callers do not heed them."""

import asyncio
from collections import Counter

import pytest

from service.web.tarrying import AT_ONCE, LEAST_SECONDS, MOST_SECONDS, Tarrying


def _held(monkeypatch: pytest.MonkeyPatch, *refusals: str) -> tuple[Tarrying, list[float]]:
    """Have so many wait at a time; for how long each is held."""
    held: list[float] = []
    waiting = Tarrying()
    all_there = asyncio.Event()

    async def sleep(seconds: float) -> None:
        held.append(seconds)
        if len(held) == len(refusals):
            all_there.set()
        await all_there.wait()

    async def run() -> None:
        await asyncio.gather(*map(waiting.wait, refusals))

    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(run())
    return waiting, held


def test_the_more_wait_for_the_same_refusal_the_longer_each_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, held = _held(monkeypatch, *["key a looks"] * 60)
    assert held[:AT_ONCE] == [LEAST_SECONDS] * AT_ONCE
    assert held == sorted(held)
    assert held[15] == 2 * LEAST_SECONDS
    assert held[-1] == MOST_SECONDS


def test_another_s_refusals_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    _, held = _held(monkeypatch, *["key a looks"] * 60, "key b looks", "key a is used too often")
    assert held[-2:] == [LEAST_SECONDS] * 2


def test_who_has_been_answered_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting, _ = _held(monkeypatch, *["key a looks"] * 60)
    assert waiting._waiting == Counter()
