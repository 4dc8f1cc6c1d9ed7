"""A survey on a worker: the trial's own arithmetic, many scores, one adapter, one report."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rankspace import Assignment, Purpose, RankVector
from rankspace.errors import InvalidInput, LeaseLost, TrialFailed
from rankspace.lease import ADAPTER_FILES, MAX_SURVEY_RANKS, SurveyOrder
from rankspace.wire import encode, pack, unpack
from worker.lease.report import SpooledReport, done
from worker.trial.evaluation import Evaluator

Assign = Callable[..., Assignment]
LAYERS = 21
UNEVEN = tuple(i % 4 for i in range(LAYERS))
POOL = tuple(tuple((i + shift) % 4 for i in range(LAYERS)) for shift in range(4))


def go_on(step: int, loss: float) -> bool:
    return False


def survey(assign: Assign, pool: tuple[tuple[int, ...], ...] = POOL) -> Assignment:
    return assign(
        purpose=Purpose.SURVEY,
        rank_vector=RankVector((4,) * LAYERS),
        survey=SurveyOrder(pool, (UNEVEN, POOL[1], (0,) * LAYERS)),
        keep_adapter=True,
    )


def test_trained_on_one_vector_alone_it_scores_that_vector_as_its_trial_does(
    assign: Assign, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.trial.evaluation.SHARE", 1)
    found = evaluator.evaluate(survey(assign, (UNEVEN,)), go_on)
    plain = evaluator.evaluate(assign(rank_vector=RankVector(UNEVEN)), go_on)
    base = evaluator.evaluate(assign(rank_vector=RankVector((0,) * LAYERS)), go_on)
    assert found.scores[0] == pytest.approx(plain.score, rel=1e-6)
    assert found.scores[2] == base.score
    assert found.train_loss == pytest.approx(plain.train_loss, rel=1e-6)
    assert plain.scores == ()


def test_equal_surveys_give_equal_bits_and_leave_the_model_alone(
    assign: Assign, evaluator: Evaluator, tmp_path: Path
) -> None:
    before = evaluator.evaluate(assign(), go_on).loss
    first = evaluator.evaluate(survey(assign), go_on, tmp_path / "adapter")
    assert evaluator.evaluate(survey(assign), go_on).scores == first.scores
    assert evaluator.evaluate(assign(), go_on).loss == before
    assert len(set(first.scores)) == 3
    assert {path.name for path in (tmp_path / "adapter").iterdir()} == set(ADAPTER_FILES)
    weights = load_file(tmp_path / "adapter" / ADAPTER_FILES[0])
    assert first.parameters == sum(matrix.numel() for matrix in weights.values())
    assert all(torch.isfinite(matrix).all() for matrix in weights.values())


def test_whoever_waits_hears_of_every_score(assign: Assign, evaluator: Evaluator) -> None:
    steps: list[int] = []
    losses: list[float] = []

    def lost_at_the_second_score(step: int, loss: float) -> bool:
        steps.append(step)
        losses.append(loss)
        if len(steps) > assign().steps + 1:
            raise LeaseLost("the trial was cancelled")
        return False

    with pytest.raises(LeaseLost):
        evaluator.evaluate(survey(assign), lost_at_the_second_score)
    assert steps == [1, 2, 3, 4, 5, 6, 6, 6]
    assert losses[6:] == [losses[5]] * 2  # the curve is the training's, no score of some vector
    assert evaluator.evaluate(assign(), go_on).score < 0.0  # the adapter is gone


def test_a_score_that_is_no_loss_of_a_model_fails_the_survey(
    assign: Assign, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuning.elastic.scoring.mean_loss", lambda *_: 1e7)
    with pytest.raises(TrialFailed, match="diverged"):
        evaluator.evaluate(survey(assign), go_on)


def test_a_report_waits_on_disk_with_its_scores(assign: Assign, evaluator: Evaluator) -> None:
    lease = survey(assign)
    report = done(lease, "w1", evaluator.evaluate(lease, go_on), 0.0, ADAPTER_FILES)
    kept = json.loads(json.dumps(pack(report)))
    assert unpack(SpooledReport, kept) == report
    assert len(kept["value"]["measurement"]["scores"]) == 3


def test_a_worker_of_before_reads_an_assignment_of_today(assign: Assign) -> None:
    assert "survey" not in encode(assign())


@pytest.mark.parametrize(
    ("pool", "vectors"),
    [((), (UNEVEN,)), ((UNEVEN,), ()), (((1,) * MAX_SURVEY_RANKS,), (UNEVEN,))],
    ids=["no pool", "nothing to score", "too large"],
)
def test_an_order_is_bounded(
    pool: tuple[tuple[int, ...], ...], vectors: tuple[tuple[int, ...], ...]
) -> None:
    with pytest.raises(InvalidInput):
        SurveyOrder(pool, vectors)
