"""The recorded training curves are whole searches, and racing can read them."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench.curves.record import DATA, SEQUENCES
from bench.racing import race, recorded, shuffled
from rankspace import RankVector, SearchSpace
from rankspace.wire import decode

FILES = sorted(DATA.glob("*.jsonl"))


def test_every_sequence_is_recorded() -> None:
    assert {file.stem for file in FILES} == {sequence.name for sequence in SEQUENCES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recording_is_a_whole_search_within_its_space(file: Path) -> None:
    head, *rows = [json.loads(line) for line in file.read_text().splitlines()]
    space = decode(SearchSpace, head["space"])
    assert len(rows) == head["sequence"]["trials"]
    vectors = [RankVector(tuple(row["ranks"])) for row in rows]
    assert len(set(vectors)) == len(vectors)
    for vector in vectors:
        space.check(vector)
    for row in rows:
        assert len(row["steps"]) == head["sequence"]["steps"]
        assert np.isfinite([row["loss"], *row["steps"]]).all()
    assert head["fingerprint"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_racing_saves_steps_of_it_and_keeps_its_winner(file: Path) -> None:
    study, layers = recorded(file)
    assert len(study.curves[0].steps) == study.steps // 2
    found = race(study, 0.02, layers)
    assert not found.lost_winner
    assert found.regret == 0.0
    assert race(study, 1e-12, layers).stopped <= found.stopped
    mixed = shuffled(study, 1)
    assert sorted(mixed.scores) == sorted(study.scores)
    assert mixed.scores[0] == study.scores[0]
