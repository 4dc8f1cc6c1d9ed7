"""Whom a computation that is over still serves, and how long the next one has to wait."""

import math
from dataclasses import replace

from service.insights.found import Asked, Found, Made, Rule
from service.studies.revision import Revision

NOW = Revision(("searching",), (7,))
LATER = replace(NOW, rest=(8,))
ENDED = replace(NOW, heads=("verifying",))
INSIGHT = Rule(20, math.inf, True, 0.05)
PAGE = Rule(4, 2.0, False, 0.05)
MADE = Made(NOW, b"", None)
TOOK = Found(MADE, begun_at=100.0, ended_at=101.0)


def asked(revision: Revision, at: float = 102.0) -> Asked:
    return Asked(revision, at)


def test_what_is_of_the_same_revision_serves_however_old_it_is() -> None:
    for rule in (INSIGHT, PAGE):
        assert rule.serves(TOOK, asked(NOW, 1e9), 1e9)
    assert TOOK.age(asked(NOW), 1e9) == 0.0


def test_what_began_after_the_question_serves_whatever_it_is_of() -> None:
    for rule in (INSIGHT, PAGE):
        assert rule.serves(TOOK, asked(ENDED, 100.0), 101.0)
        assert not rule.serves(TOOK, asked(ENDED, 100.1), 101.0)


def test_an_insight_is_shown_old_for_a_while_and_says_so() -> None:
    assert INSIGHT.serves(TOOK, asked(LATER), 120.9)
    assert not INSIGHT.serves(TOOK, asked(LATER), 121.0)
    assert TOOK.age(asked(LATER), 120.0) == 20.0
    assert INSIGHT.pause(TOOK, asked(LATER), 102.0) == 0.0


def test_an_insight_of_this_stage_stands_in_for_one_that_takes_too_long() -> None:
    assert INSIGHT.stands_in(TOOK, asked(LATER))
    assert not INSIGHT.stands_in(TOOK, asked(ENDED))
    assert not PAGE.stands_in(TOOK, asked(LATER))


def test_no_insight_of_an_earlier_stage_is_shown() -> None:
    assert not INSIGHT.serves(TOOK, asked(ENDED), 102.0)
    assert INSIGHT.pause(TOOK, asked(ENDED), 102.0) == 0.0


def test_no_page_of_an_earlier_revision_is_shown_and_the_next_one_waits_its_turn() -> None:
    assert not PAGE.serves(TOOK, asked(LATER), 101.0)
    assert PAGE.pause(TOOK, asked(LATER), 101.5) == 1.5  # four seconds would be too long
    assert PAGE.pause(TOOK, asked(LATER), 110.0) == 0.0
    quick = replace(TOOK, ended_at=100.1)
    assert math.isclose(PAGE.pause(quick, asked(LATER), 100.1), 0.4)


def test_nobody_waits_for_the_first_nor_for_another_stage() -> None:
    assert PAGE.pause(None, asked(NOW), 101.0) == 0.0
    assert PAGE.pause(TOOK, asked(ENDED), 101.0) == 0.0


def test_what_is_cheap_is_made_for_every_change() -> None:
    cheap = replace(TOOK, ended_at=100.05)
    for rule in (INSIGHT, PAGE):
        assert not rule.serves(cheap, asked(LATER), 100.06)
        assert rule.pause(cheap, asked(LATER), 100.06) == 0.0


def test_half_a_page_is_shown_for_its_pause_only() -> None:
    half = replace(TOOK, made=replace(MADE, is_whole=False))
    assert PAGE.serves(half, asked(NOW), 102.9)
    assert not PAGE.serves(half, asked(NOW), 103.0)
    assert PAGE.pause(half, asked(NOW), 103.0) == 0.0
