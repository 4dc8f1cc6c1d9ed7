"""The recordings are what the catalogue says, and nothing in them is counted twice."""

import json
import math
from pathlib import Path

import pytest

from bench.surfaces.catalogue import CATALOGUE
from bench.surfaces.record import DATA, wanted
from rankspace import SearchSpace
from rankspace.wire import decode

FILES = sorted(DATA.glob("*.jsonl"))


def test_there_are_recordings_and_each_is_in_the_catalogue() -> None:
    assert FILES
    assert {file.stem for file in FILES} <= {surface.name for surface in CATALOGUE}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recording_is_a_part_of_what_was_wanted(file: Path) -> None:
    head, *rows = [json.loads(line) for line in file.read_text().splitlines()]
    (surface,) = [surface for surface in CATALOGUE if surface.name == file.stem]
    space = decode(SearchSpace, head["space"])
    pairs = [(tuple(row["ranks"]), row["seed"]) for row in rows]
    assert len(set(pairs)) == len(pairs)
    assert set(pairs) <= {(vector.ranks, seed) for vector, seed in wanted(surface, space)}
    assert all(math.isfinite(row["loss"]) for row in rows)
    assert head["fingerprint"]
    assert head["profiles"]
