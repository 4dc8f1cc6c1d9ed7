from dataclasses import replace

import pytest

from perfmodel.meta.lesson import Lesson, lessons_of
from perfmodel.meta.prior import MetaPrior
from perfmodel.meta.training import train_on
from tests.unit.perfmodel.meta.worlds import world


@pytest.fixture(scope="session")
def lessons() -> tuple[Lesson, ...]:
    """Six small worlds of two families each; the seventh is nobody's lesson."""
    found = lessons_of([world(seed).study for seed in range(6)])
    return tuple(
        replace(lesson, study=replace(lesson.study, family=f"family {index // 2}"))
        for index, lesson in enumerate(found)
    )


@pytest.fixture(scope="session")
def prior(lessons: tuple[Lesson, ...]) -> MetaPrior:
    return train_on(lessons, made="2026-01-31", command="a test")
