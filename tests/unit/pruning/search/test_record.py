"""Record: what is there is gone on with only if it is of the same question, and whole."""

from pathlib import Path

import pytest

from pruning.search.draws import Draws
from pruning.search.evaluation import Evaluation
from pruning.search.record import Record, open_record
from pruning.search.run import run_search
from rankspace.errors import InvalidInput
from tests.unit.pruning.search.spaces import bowl, space_of

QUESTION = {"search": "random", "seed": 1}


def test_another_question_is_refused_by_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    open_record(path, QUESTION).add(Evaluation({0: 0.5}, 1.5))
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match="is of a search with seed 1, not 2"):
        open_record(path, {**QUESTION, "seed": 2})
    assert path.read_bytes() == before
    assert open_record(path, QUESTION).evaluations == [Evaluation({0: 0.5}, 1.5)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is no line of JSON"),
        ("[" * 5000, "is no line of JSON"),
        ('{"rates": {"0": 0.5}}', "holds no evaluation"),
        ('{"rates": {"0": 0.5}, "loss": "small"}', "holds no evaluation"),
        ('{"rates": {"0": 1.5}, "loss": 1}', "is no share of a block"),
        ("7", "holds no evaluation"),
    ],
)
def test_what_is_no_evaluation_is_refused(line: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    open_record(path, QUESTION)
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InvalidInput, match=said):
        open_record(path, QUESTION)


@pytest.mark.parametrize("content", ["", "7\n", '{"rates": {}}\n', '{"question": 7}\n'])
def test_what_is_no_record_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(content)
    with pytest.raises(InvalidInput, match="is no record of a search"):
        open_record(path, QUESTION)


def test_evaluations_that_the_search_does_not_propose_are_not_taken_for_its_own() -> None:
    """A version that draws otherwise would answer from losses of other rates."""
    space = space_of(0.5)
    record = Record(None, [Evaluation(space.uniform, 3.0), Evaluation(space.uniform, 1.0)])
    with pytest.raises(InvalidInput, match="proposes other rates than this one as evaluation 2"):
        run_search(Draws(1), space, bowl, record, 5)
