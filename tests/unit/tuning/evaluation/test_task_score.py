import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from rankspace.errors import InvalidInput
from tests.unit.tuning.evaluation.slowly import log_likelihood
from tuning.evaluation.document import Document, answered
from tuning.evaluation.encoding import encode_pair, encode_task
from tuning.evaluation.paired import compare_perplexities, compare_tasks
from tuning.evaluation.perplexity import Perplexity
from tuning.evaluation.standard_error import error_of_mean
from tuning.evaluation.task import Task
from tuning.evaluation.task_format import FORMATS
from tuning.evaluation.task_score import Metric, ScoredDocument, TaskScore, score_task
from tuning.evaluation.text_form import TextForm

CPU = torch.device("cpu")
DOCUMENTS = (
    answered("line 1", "Once upon a time, there was a little", ("girl named Lily", "tax form"), 0),
    answered("line 2", "Tom and his dog went to the", ("park", "moon and back", "tree"), 1),
    Document(
        "line 3",
        ("The dog saw Sam and Sam", "The dog saw Sam and it"),
        (" ran",) * 2,
        ("Sam", "it"),
        1,
    ),
    answered("line 4", "Lily was sad. Her mom said", ("no", "yes"), 1),
)
TASK = Task("small", FORMATS["plain"], DOCUMENTS, len(DOCUMENTS))


@pytest.fixture(scope="module")
def scored(model: Any, pieces: Any) -> TaskScore:
    return score_task(model, encode_task(pieces, TASK, 512), CPU)


def of(*scored: ScoredDocument) -> TaskScore:
    return TaskScore("t", "plain", tuple(Metric), "", scored, len(scored), 0, 0)


def document(answer: int, *scores: float) -> ScoredDocument:
    names = tuple("abcdef"[: len(scores)])
    return ScoredDocument(answered("line 1", "Say", names, answer), scores)


def test_scores_are_those_of_one_token_at_a_time(
    model: Any, pieces: Any, scored: TaskScore
) -> None:
    for one in scored.documents:
        asked = zip(one.document.contexts, one.document.endings, strict=True)
        direct = [log_likelihood(model, *encode_pair(pieces, *pair)) for pair in asked]
        assert one.scores == pytest.approx(direct, abs=1e-4)


@pytest.mark.parametrize("batch_tokens", [1, 50])
def test_scores_do_not_depend_on_batches(
    model: Any, pieces: Any, scored: TaskScore, batch_tokens: int
) -> None:
    again = score_task(model, encode_task(pieces, TASK, 512), CPU, batch_tokens=batch_tokens)
    for one, other in zip(scored.documents, again.documents, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-4)


def test_lengths_are_characters_or_bytes_and_differ_beyond_ascii() -> None:
    asked = Document("line 1", ("",) * 2, (" éééé", " abcdef"), ("éééé", "abcdef"), 0)
    one = ScoredDocument(asked, (-8.0, -9.0))
    assert one.values(Metric.ACC) == (-8.0, -9.0)
    assert one.values(Metric.ACC_NORM) == (-2.0, -1.5)
    assert one.values(Metric.ACC_BYTES) == (-1.0, -1.5)
    assert [one.is_right(metric) for metric in Metric] == [True, False, True]
    assert one.margin(Metric.ACC) == 1.0
    assert one.margin(Metric.ACC_NORM) == -0.5


def test_of_equals_the_first_is_the_answer_and_its_margin_is_nothing() -> None:
    assert document(1, -1.0, -1.0).chosen(Metric.ACC) == 0
    assert document(1, -1.0, -1.0).margin(Metric.ACC) == 0.0


def test_an_accuracy_has_the_standard_error_of_the_harness() -> None:
    score = of(document(0, -1, -2), document(1, -1, -2), document(1, -2, -1), document(0, -1, -3))
    assert score.accuracy(Metric.ACC) == 0.75
    assert score.error(Metric.ACC) == pytest.approx(math.sqrt(0.75 * 0.25 / 3))
    assert of(document(0, -1, -2)).error(Metric.ACC) is None


def test_tasks_without_a_normalised_accuracy_are_judged_by_the_plain_one() -> None:
    assert of(document(0, -1, -2)).headline is Metric.ACC_NORM
    assert replace(of(document(0, -1, -2)), metrics=(Metric.ACC,)).headline is Metric.ACC


def test_a_model_does_not_differ_from_itself(scored: TaskScore) -> None:
    found = compare_tasks(scored, scored, Metric.ACC)
    assert (found.mean, found.error, found.items) == (0.0, 0.0, 4)
    assert (found.changed, found.gained, found.lost) == (0, 0, 0)


def test_a_difference_is_paired_document_by_document() -> None:
    one = of(document(0, -1, -2), document(0, -1, -2), document(2, -2, -1, -3), document(1, -2, -1))
    other = of(
        document(0, -2, -1), document(0, -1, -2), document(2, -1, -2, -3), document(1, -1, -2)
    )
    found = compare_tasks(one, other, Metric.ACC)
    assert (found.changed, found.gained, found.lost) == (3, 2, 0)
    assert found.mean == 0.5
    assert found.error == pytest.approx(math.sqrt(1 / 3 / 4))
    assert compare_tasks(other, one, Metric.ACC).lost == 2


def test_other_documents_are_not_compared(scored: TaskScore) -> None:
    fewer = replace(scored, documents=scored.documents[:3])
    moved = replace(scored, documents=scored.documents[::-1])
    for other in (fewer, moved):
        with pytest.raises(InvalidInput, match="other documents"):
            compare_tasks(scored, other, Metric.ACC)


def test_losses_are_compared_window_by_window() -> None:
    one = Perplexity("t", TextForm.PLAIN, 8, 24, 0, 0, 0, 0, "ab", (1.0, 2.0, 4.0))
    other = replace(one, losses=(2.0, 2.0, 4.0))
    found = compare_perplexities(one, other)
    assert found.mean == pytest.approx(-1 / 3)
    assert found.error == pytest.approx(1 / 3)
    assert found.changed is None
    assert compare_perplexities(one, one).mean == 0.0
    changes: list[dict[str, Any]] = [{"window": 9}, {"losses": (1.0,)}, {"tokens_hash": "cd"}]
    for wrong in (replace(one, **change) for change in changes):
        with pytest.raises(InvalidInput, match="other tokens or windows"):
            compare_perplexities(one, wrong)


def test_the_error_of_a_mean_of_tasks_adds_up_or_is_unknown() -> None:
    assert error_of_mean([3.0, 4.0]) == 2.5
    assert error_of_mean([3.0, None]) is None
    assert error_of_mean([]) is None
