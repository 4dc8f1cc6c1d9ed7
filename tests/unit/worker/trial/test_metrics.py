"""Recovered models are evaluated by the worker that recovered them, on files of its machine."""

import gzip
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from pruning.container.container import load
from rankspace import Assignment, Purpose, RankVector, Study
from rankspace.errors import CannotOpen, InvalidInput, LeaseLost
from rankspace.evaluation.recovery_metric import RecoveryMetric
from rankspace.lease import PROTOCOL, Report
from rankspace.recipe import Data, Recipe
from rankspace.study import Recover
from rankspace.wire import decode, encode
from service.leases.plausibility import Bounds
from tests.unit.worker.fake_service import FakeService
from tests.unit.worker.starting import Start
from tuning.evaluation.encoding import encode_task
from tuning.evaluation.perplexity import measure_perplexity, read_tokens
from tuning.evaluation.task import read_task
from tuning.evaluation.task_score import Metric, score_task
from tuning.evaluation.text_form import TextForm
from worker.lease.drain import Drain
from worker.trial import metrics
from worker.trial.evaluation import Evaluator
from worker.trial.inspection import inspect
from worker.trial.reach import Reach

pytestmark = pytest.mark.slow

Assign = Callable[..., Assignment]
CPU = torch.device("cpu")
NOTHING = RankVector((0,) * 21)
WORDS = "the cat sat on the mat and then a dog ran under the tree. "


def go_on(step: int, loss: float) -> bool:
    return False


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("metrics") / "text.txt"
    path.write_text(WORDS * 12)
    return path


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("metrics") / "own.jsonl"
    rows = [
        {"context": f"the {word}", "choices": ["sat", "ran under"], "answer": at % 2}
        for at, word in enumerate(["cat", "dog", "mat", "tree", "cat", "dog"])
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def recovery(assign: Assign, *asked: RecoveryMetric, **changes: Any) -> Assignment:
    return assign(**{"purpose": Purpose.RECOVER, "metrics": asked, "steps": 2, **changes})


def test_the_recovered_model_is_measured_as_evaluate_would(
    assign: Assign, evaluator: Evaluator, text: Path, task: Path
) -> None:
    asked = (RecoveryMetric(perplexity=str(text), window=32), RecoveryMetric(task=str(task)))
    found = evaluator.evaluate(recovery(assign, *asked, rank_vector=NOTHING), go_on)
    model = load(assign().model_path)
    stream = read_tokens("x", TextForm.PLAIN, text.read_text(), model.tokenizer)
    expected = measure_perplexity(model.model, stream, 32, CPU)
    perplexity, accuracy = found.metrics
    assert perplexity.sums == pytest.approx(expected.losses, rel=1e-7)
    assert (perplexity.documents, perplexity.dropped) == (len(expected.losses), expected.dropped)
    scored = score_task(model.model, encode_task(model.tokenizer, read_task(task), 128), CPU)
    assert accuracy.name == "acc_norm"
    assert sum(accuracy.sums) / 6 == scored.accuracy(Metric.ACC_NORM)
    margins = [one.margin(Metric.ACC_NORM) for one in scored.documents]
    assert accuracy.margins == pytest.approx(margins, rel=1e-6)
    assert found.seconds["metrics"] > 0.0
    trained = evaluator.evaluate(recovery(assign, *asked), go_on)
    assert sum(trained.metrics[0].sums) < sum(perplexity.sums)
    assert trained.metrics[0].emptied == perplexity.emptied


def test_of_many_documents_groups_are_told_and_a_limit_takes_the_first(
    assign: Assign, evaluator: Evaluator, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MOST_GROUPS", 3)
    whole = RecoveryMetric(perplexity=str(text), window=16)
    asked = (whole, replace(whole, limit=4))
    every, first = evaluator.evaluate(recovery(assign, *asked, rank_vector=NOTHING), go_on).metrics
    assert len(every.counts) == len(first.counts) == 3
    assert sum(every.counts) == every.total == len(text.read_text()) // 16
    assert (first.documents, first.total) == (4, every.total)
    assert sorted(first.counts) == [1, 1, 2]


def test_whoever_waits_hears_of_it_and_may_call_it_off(
    assign: Assign, evaluator: Evaluator, task: Path
) -> None:
    heard: list[tuple[int, float]] = []

    def lost(step: int, loss: float) -> bool:
        heard.append((step, loss))
        raise LeaseLost("the trial was cancelled")

    nothing = recovery(assign, RecoveryMetric(task=str(task)), rank_vector=NOTHING)
    with pytest.raises(LeaseLost):
        evaluator.evaluate(nothing, lost)
    base = evaluator.evaluate(replace(nothing, metrics=()), go_on)
    assert heard == [(0, base.loss)]


BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no such file": (None, {"task": "x"}, "task"),
    "no row of a task": (b'{"a": 1}\n', {"task": "x"}, "task, line 1"),
    "no UTF-8": (b"caf\xe9 " * 99, {"perplexity": "x"}, "perplexity"),
    "no window": (b"short", {"perplexity": "x"}, "perplexity"),
    "too long a window": (WORDS.encode() * 9, {"perplexity": "x", "window": 129}, "window"),
    "another file": (WORDS.encode() * 9, {"perplexity": "x", "sha256": "0" * 64}, "perplexity"),
    "too large": (gzip.compress(b"a" * (2**22 + 1)), {"perplexity": "x"}, "perplexity"),
    "too large a task": (gzip.compress(b"a" * (2**26 + 1)), {"task": "x"}, "task"),
}


@pytest.mark.parametrize(("content", "fields", "named"), BAD.values(), ids=BAD)
def test_a_file_of_no_use_is_named_before_anything_is_trained(
    assign: Assign,
    evaluator: Evaluator,
    tmp_path: Path,
    content: bytes | None,
    fields: dict[str, Any],
    named: str,
) -> None:
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    asked = RecoveryMetric(**fields).at(str(tmp_path / "x"))
    steps: list[int] = []

    def noted(step: int, loss: float) -> bool:
        steps.append(step)
        return False

    with pytest.raises(CannotOpen) as refused:
        evaluator.evaluate(recovery(assign, asked), noted)
    assert refused.value.field == f"recover.metrics[0].{named}"
    assert refused.value.hint
    assert "--" not in f"{refused.value.detail}{refused.value.hint}"
    assert steps == []


def test_a_task_may_be_larger_than_a_text(
    assign: Assign, evaluator: Evaluator, tmp_path: Path
) -> None:
    row = {"context": "the cat", "choices": ["sat", "ran"], "answer": 0, "told": " " * 2**22}
    (tmp_path / "x").write_text(json.dumps(row) + "\n")
    asked = RecoveryMetric(task=str(tmp_path / "x"))
    assert evaluator.evaluate(recovery(assign, asked), go_on).metrics[0].documents == 1
    with pytest.raises(CannotOpen, match=r"more than 4 MiB, unpacked, and a text is tokenised"):
        evaluator.evaluate(recovery(assign, RecoveryMetric(perplexity=asked.path)), go_on)


def test_too_many_documents_ask_for_a_limit(
    assign: Assign, evaluator: Evaluator, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "MOST_DOCUMENTS", 5)
    with pytest.raises(CannotOpen, match=r"metrics\[0\].limit = None: leaves 6 documents"):
        evaluator.evaluate(recovery(assign, RecoveryMetric(task=str(task))), go_on)
    some = recovery(assign, RecoveryMetric(task=str(task), limit=5))
    assert evaluator.evaluate(some, go_on).metrics[0].documents == 5


def test_what_is_out_of_reach_is_not_opened(
    assign: Assign, model_directory: Path, text_file: Path, task: Path
) -> None:
    bounded = Evaluator(CPU, reach=Reach([model_directory, text_file.parent]))
    with pytest.raises(CannotOpen, match=r"recover\.metrics\[0\]\.task = .*roots"):
        bounded.evaluate(recovery(assign, RecoveryMetric(task=str(task))), go_on)


def test_what_is_no_number_fails_the_metric_and_not_the_recovery(
    assign: Assign, evaluator: Evaluator, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuning.evaluation.likelihood._sums", lambda m, part, d: [math.nan])
    monkeypatch.setattr("tuning.evaluation.likelihood.BATCH_TOKENS", 1)
    lease = recovery(assign, RecoveryMetric(task=str(task)))
    found = evaluator.evaluate(lease, go_on)
    assert found.metrics[0].counts == ()
    assert "no finite likelihood" in found.metrics[0].failure
    assert found.loss > 0.0
    Bounds(found.parameters, 2, 600.0, metrics=lease.metrics).check(found)


def test_margins_of_no_model_fail_the_metric_as_losses_do(
    assign: Assign, evaluator: Evaluator, task: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such weights, all of them finite, would else cost the recovery and put workers away."""

    def sums(model: Any, part: Sequence[Any], device: torch.device) -> list[float]:
        return [-1e9 * len(one.tokens) for one in part]

    monkeypatch.setattr("tuning.evaluation.likelihood._sums", sums)
    lease = recovery(assign, RecoveryMetric(task=str(task)))
    found = evaluator.evaluate(lease, go_on)
    assert "which no model does" in found.metrics[0].failure
    Bounds(found.parameters, 2, 600.0, metrics=lease.metrics).check(found)


def test_a_worker_reports_what_the_service_takes(
    assign: Assign, service: FakeService, worker: Start, text: Path, task: Path
) -> None:
    asked = (RecoveryMetric(perplexity=str(text), window=64), RecoveryMetric(task=str(task)))
    lease = recovery(assign, *asked)
    service.leases.queue(lease)
    assert worker(max_trials=1).run() == 1
    (body,) = service.bodies("report")
    measured = decode(Report, body).measurement
    assert measured is not None
    assert [one.name for one in measured.metrics] == ["perplexity", "acc_norm"]
    Bounds(measured.parameters, 2, 600.0, metrics=asked).check(measured)


def test_submitting_finds_the_hash_and_what_is_wrong(
    model_directory: Path, text_file: Path, text: Path, task: Path
) -> None:
    recipe = Recipe(Data(str(text_file), "text", held_out=20), sequence_length=32)
    good = RecoveryMetric(perplexity=str(text), window=64), RecoveryMetric(task=str(task))
    study = Study("s", str(model_directory), recipe, recover=Recover(metrics=good))
    found = inspect(study).metrics
    assert [replace(one, sha256=None) for one in found] == [*good]
    assert all(one.sha256 is not None for one in found)
    missing = Recover(metrics=(good[1], RecoveryMetric(task=f"{task}.gone")))
    with pytest.raises(InvalidInput, match=r"recover\.metrics\[1\]\.task"):
        inspect(replace(study, recover=missing))


LENGTHS: dict[str, dict[str, Any]] = {"steps": {}, "epochs": {"steps": 0, "epochs": 1}}


@pytest.mark.parametrize("length", LENGTHS.values(), ids=LENGTHS)
@pytest.mark.parametrize("late", [False, True])
def test_a_worker_that_is_to_leave_evaluates_within_its_grace(  # noqa: PLR0917  # fixtures
    assign: Assign,
    service: FakeService,
    worker: Start,
    task: Path,
    monkeypatch: pytest.MonkeyPatch,
    length: dict[str, Any],
    late: bool,
) -> None:
    """However long its training was told to be: it is over."""
    drain, told = Drain(), list[int]()

    def leave_after_training(step: int) -> None:
        if step in told:
            drain.request()
            if late:
                monkeypatch.setattr(drain, "_requested_at", time.monotonic() - 600)
        told.append(step)

    service.leases.queue(recovery(assign, RecoveryMetric(task=str(task)), **length))
    worker(drain, leave_after_training, grace_seconds=600).run()
    assert drain.requested
    assert (len(service.bodies("report")), len(service.bodies("release"))) == (1 - late, late)


def test_an_assignment_without_metrics_says_nothing_of_them(assign: Assign) -> None:
    assert "metrics" not in encode(assign())
    assert PROTOCOL >= 7
