"""What a state says it holds in memory: the service closes what holds much."""

import json
import tracemalloc
from dataclasses import replace

from perfmodel import start
from perfmodel.state import ModelState
from rankspace import Layer, RankVector, SearchSpace
from rankspace.observation import Surveyed, Taught
from rankspace.wire import decode

SPACE = SearchSpace(tuple(Layer(f"{at}", 3) for at in range(64)), (0, 1, 2, 4, 8), 600)
BEGUN = start(SPACE, strategy="rankadaptor")
RANKS = [[1_000 + (row * at) % 7_000 for at in range(64)] for row in range(200)]


def _taught(text: str) -> Taught:
    document = json.loads(text)
    return decode(Taught, {"vectors": document, "scores": [0.25 * (n % 5) for n in range(200)]})


def test_rows_that_were_taught_count_as_what_they_take() -> None:
    text = json.dumps(RANKS)
    tracemalloc.start()
    taught = _taught(text)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    size = replace(BEGUN, taught=taught).size
    assert 0.8 * held < size < 3 * held


def test_what_was_surveyed_counts_like_trials() -> None:
    vector = RankVector((1,) * 64)
    said = replace(BEGUN, surveyed=(Surveyed(vector, -1.0),) * 100)
    assert isinstance(said, ModelState)
    assert said.size > 100 * 64 * 8
    assert BEGUN.size == 0
