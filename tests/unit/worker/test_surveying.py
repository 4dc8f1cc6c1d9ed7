"""A survey on a worker: the trial's own arithmetic, many scores, one adapter, one report."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest
import torch
from safetensors.torch import load_file, save_file

from rankspace import Assignment, Measurement, Purpose, RankVector
from rankspace.errors import InvalidInput, LeaseLost, TrialFailed
from rankspace.lease import ADAPTER_FILES, MAX_SURVEY_RANKS, WEIGHTS, KeptAdapter, SurveyOrder
from rankspace.wire import encode, pack, unpack
from tests.unit.worker.fake_service import FakeService
from tests.unit.worker.starting import NO_WORK, Answer, Start, granted
from worker.lease.drain import Drain
from worker.lease.kept_adapters import MOST, KeptAdapters
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


# Further scores, in a later claim


def scoring(assign: Assign, weights: Path, vectors: tuple[tuple[int, ...], ...]) -> Assignment:
    content = weights.read_bytes()
    kept = KeptAdapter(7, hashlib.sha256(content).hexdigest(), len(content))
    order = SurveyOrder((), vectors, kept)
    return replace(survey(assign), survey=order, keep_adapter=False, steps=0)


class Store:
    """Hands out the weights of a file, as the service does."""

    def __init__(self, weights: Path) -> None:
        self._weights = weights
        self.fetched = 0

    def fetch(self, lease: Assignment, target: BinaryIO, most: int) -> None:
        self.fetched += 1
        target.write(self._weights.read_bytes())


@pytest.fixture(scope="session")
def surveyed(
    assign: Assign, evaluator: Evaluator, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Measurement, Path]:
    """What the first claim said, and the weights that it left."""
    place = tmp_path_factory.mktemp("surveyed")
    return evaluator.evaluate(survey(assign), go_on, place), place / WEIGHTS


def test_a_vector_scores_the_same_in_a_later_claim_of_another_worker(
    assign: Assign, surveyed: tuple[Measurement, Path], tmp_path: Path
) -> None:
    first, weights = surveyed
    lease = scoring(assign, weights, (POOL[2], (0,) * LAYERS, UNEVEN))
    kept = KeptAdapters(tmp_path).of(lease, Store(weights))
    elsewhere = Evaluator(torch.device("cpu"))
    base = elsewhere.evaluate(assign(rank_vector=RankVector((0,) * LAYERS)), go_on).loss
    found = elsewhere.evaluate(lease, go_on, None, kept)
    assert (found.scores[2], found.scores[1]) == (first.scores[0], first.scores[2])
    assert found.scores[0] not in first.scores
    assert (found.loss, found.parameters) == (first.loss, first.parameters)
    assert (found.steps, found.tokens) == (0, 0)
    again = elsewhere.evaluate(assign(rank_vector=RankVector((0,) * LAYERS)), go_on)
    assert again.loss == base  # the adapter is gone


def test_without_the_adapter_or_with_another_studys_nothing_is_scored(
    assign: Assign, evaluator: Evaluator, surveyed: tuple[Measurement, Path], tmp_path: Path
) -> None:
    lease = scoring(assign, surveyed[1], (UNEVEN,))
    before = evaluator.evaluate(assign(), go_on).loss
    with pytest.raises(TrialFailed, match="not there"):
        evaluator.evaluate(lease, go_on)
    save_file({"other": torch.zeros(2)}, tmp_path / WEIGHTS)
    with pytest.raises(TrialFailed, match="of another study"):
        evaluator.evaluate(lease, go_on, None, tmp_path / WEIGHTS)
    assert evaluator.evaluate(assign(), go_on).loss == before


def test_an_adapter_is_fetched_once_and_again_when_it_was_damaged(
    assign: Assign, surveyed: tuple[Measurement, Path], tmp_path: Path
) -> None:
    weights = surveyed[1]
    adapters, store = KeptAdapters(tmp_path), Store(weights)
    lease = scoring(assign, weights, (UNEVEN,))
    path = adapters.of(lease, store)
    assert adapters.of(lease, store) == path
    assert store.fetched == 1
    assert path is not None
    assert path.stat().st_mode & 0o077 == 0
    path.write_bytes(b"x" * path.stat().st_size)
    assert adapters.of(lease, store) == path
    assert (store.fetched, path.read_bytes()) == (2, weights.read_bytes())
    assert adapters.of(assign(), store) is None


def test_other_bytes_than_those_that_were_surveyed_are_refused_and_leave_nothing(
    assign: Assign, surveyed: tuple[Measurement, Path], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_bytes(surveyed[1].read_bytes()[:-1] + b"x")
    lease = scoring(assign, surveyed[1], (UNEVEN,))
    with pytest.raises(TrialFailed, match="not the one that was surveyed"):
        KeptAdapters(tmp_path / "kept").of(lease, Store(other))
    assert list((tmp_path / "kept").iterdir()) == []


def test_only_the_adapters_used_last_stay(assign: Assign, tmp_path: Path) -> None:
    adapters = KeptAdapters(tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    for name in ("cut off.part", "being fetched.part"):
        (tmp_path / "kept" / name).touch()
    os.utime(tmp_path / "kept" / "cut off.part", (0, 0))
    names = []
    for number in range(MOST + 2):
        weights = tmp_path / str(number)
        weights.write_bytes(str(number).encode())
        path = adapters.of(scoring(assign, weights, (UNEVEN,)), Store(weights))
        assert path is not None
        os.utime(path, (number, number))  # those before were used long ago
        names.append(path.name)
    left = {path.name for path in (tmp_path / "kept").iterdir()}
    assert left == {*names[-MOST:], "being fetched.part"}


def test_a_disk_without_room_fails_the_scores_and_nothing_else(
    assign: Assign, surveyed: tuple[Measurement, Path], tmp_path: Path
) -> None:
    (tmp_path / "kept").write_text("a file where the directory would be")
    lease = scoring(assign, surveyed[1], (UNEVEN,))
    with pytest.raises(TrialFailed, match="cannot keep"):
        KeptAdapters(tmp_path / "kept").of(lease, Store(surveyed[1]))


def test_a_service_that_is_away_while_the_adapter_is_fetched_is_waited_for(
    service: FakeService, worker: Start, assign: Assign, surveyed: tuple[Measurement, Path]
) -> None:
    content = surveyed[1].read_bytes()
    service.say("claim", granted(scoring(assign, surveyed[1], (UNEVEN,))), NO_WORK)
    service.say("adapter", *[(503, {})] * 3, (200, content))
    assert worker(max_trials=1, until_idle_seconds=None).run() == 1
    (report,) = service.bodies("report")
    assert (report["outcome"], len(report["measurement"]["scores"])) == ("done", 1)


def test_a_service_that_never_hands_out_the_adapter_costs_the_scores(
    service: FakeService,
    worker: Start,
    assign: Assign,
    surveyed: tuple[Measurement, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.lease.loop.FETCH_SECONDS", 0.1)
    service.say("claim", granted(scoring(assign, surveyed[1], (UNEVEN,))), NO_WORK)
    service.say("adapter", (503, {}))
    assert worker(max_trials=1, until_idle_seconds=None).run() == 1
    assert [report["outcome"] for report in service.bodies("report")] == ["failed"]


def test_a_worker_that_is_told_to_leave_does_not_wait_for_the_adapter(
    service: FakeService, worker: Start, assign: Assign, surveyed: tuple[Measurement, Path]
) -> None:
    drain = Drain()

    def away() -> Answer:
        drain.request()
        return 503, {}

    service.say("claim", granted(scoring(assign, surveyed[1], (UNEVEN,))), NO_WORK)
    service.say("adapter", away)
    worker(drain, until_idle_seconds=None).run()
    assert len(service.bodies("release")) == 1
    assert not service.bodies("report")
