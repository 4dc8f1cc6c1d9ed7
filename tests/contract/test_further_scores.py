"""Two real workers, one service: one trains the survey's adapter, the other scores on it."""

from pathlib import Path

import pytest
import torch

from rankadaptor.rest.client import RestClient
from rankspace import Assignment, PrunedModel
from rankspace.lease import Capabilities
from rankspace.recipe import Batch, Data, Optimizer, Recipe
from rankspace.study import Budget, Search, Study, Survey, TrialRun, Verify
from tests.unit.service.driver import listening, start
from tests.unit.tiny_llama import (  # noqa: F401  # fixtures
    description,
    imported_for_good,
    model_directory,
    one_thread,
    text_file,
)
from worker.lease.client import LeaseClient
from worker.lease.drain import Drain
from worker.lease.loop import Patience, Worker
from worker.lease.spool import Spool
from worker.trial.evaluation import Evaluator

pytestmark = pytest.mark.slow

VECTORS, FURTHER, TRIALS = 12, 6, 10


class _Notes(LeaseClient):
    """Keeps what it was handed."""

    def __init__(self, url: str, key: str, worker: str) -> None:
        super().__init__(url, key, worker)
        self.handed: list[Assignment] = []

    def claim(self, wait_seconds: float, able: Capabilities | None = None) -> Assignment | None:
        lease = super().claim(wait_seconds, able)
        if lease is not None:
            self.handed.append(lease)
        return lease


def _study(model: Path, text: Path) -> Study:
    recipe = Recipe(
        Data(str(text), "text", held_out=20),
        sequence_length=32,
        batch=Batch(examples=8, micro=8),
        optimizer=Optimizer(learning_rate=1e-2),
    )
    search = Search(
        ranks=(0, 1, 2),
        budget=Budget("uniform:1", trials=TRIALS),
        trial=TrialRun(steps=2),
        survey=Survey(steps=4, vectors=VECTORS, further=FURTHER),
    )
    return Study("tiny", str(model), recipe, search, Verify(candidates=1, seeds=3, max_trials=15))


def _work(url: str, key: str, name: str, spool: Path, patience: Patience) -> list[Assignment]:
    with _Notes(url, key, name) as client, LeaseClient(url, key, name) as renewer:
        evaluator = Evaluator(torch.device("cpu"))
        Worker(
            name, client, renewer, evaluator, Spool(spool), drain=Drain(), patience=patience
        ).run()
        return client.handed


def _key(home: Path, role: str) -> str:
    return (home / f"{role}.key").read_text().strip()


def test_further_vectors_are_scored_by_a_worker_that_did_not_train_the_adapter(
    description: PrunedModel,  # noqa: F811
    model_directory: Path,  # noqa: F811
    text_file: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("perfmodel.additive.survey.LEAST_SHARE", -1e9)  # a toy tells little
    home = tmp_path / "home"
    with listening(start(home).app) as url, RestClient(url, _key(home, "admin")) as client:
        client.register(description)
        study = client.submit(_study(model_directory, text_file))["id"]
        key = _key(home, "worker")
        once = Patience(wait_seconds=1.0, away_seconds=0.01, max_trials=1)
        (first,) = _work(url, key, "w1", tmp_path / "one", once)
        quick = Patience(wait_seconds=0.05, away_seconds=0.01, until_idle_seconds=2.0)
        rest = _work(url, key, "w2", tmp_path / "two", quick)
        view = client.study(study)
        trials = list(client.trials(study))
    later = [lease for lease in rest if lease.survey]
    assert first.survey is not None
    assert first.survey.adapter is None
    assert later
    for lease in later:
        assert lease.survey is not None
        assert lease.survey.adapter is not None
        assert lease.survey.adapter.trial == first.trial_id
        assert (tmp_path / "two" / "kept" / f"{lease.survey.adapter.sha256}.safetensors").exists()
    surveys = [t for t in trials if t["purpose"] == "survey" and t["state"] != "cancelled"]
    assert [one["state"] for one in surveys] == ["done"] * (1 + len(later))
    # The largest vector is measured in each: on the same weights, text and kernel the same bits.
    assert len({one["score"] for one in surveys}) == 1
    assert view["state"] == "done", view["error"]
    scored = sum(len(lease.survey.vectors) for lease in later if lease.survey)
    assert (view["note"] is None) == (scored == FURTHER), view["note"]
