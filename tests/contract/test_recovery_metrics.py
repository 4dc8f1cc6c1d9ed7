"""A real worker and the real service: what recovered models score, from the file to the screen."""

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from rankadaptor import cli
from rankadaptor.rest.client import RestClient
from rankspace import Assignment, Measurement, PrunedModel, Purpose, Study
from rankspace.evaluation.recovered import Recovered
from rankspace.evaluation.recovery_metric import RecoveryMetric
from rankspace.recipe import Batch, Data, Inputs, Optimizer, Recipe
from rankspace.study import Budget, Recover, Search, StrategyName, TrialRun, Verify
from tests.unit.service.driver import listening, start
from tests.unit.tiny_llama import (  # noqa: F401  # fixtures
    description,
    imported_for_good,
    model_directory,
    one_thread,
    text_file,
)
from tuning.data import READING
from tuning.training import OnStep
from worker.lease.client import LeaseClient
from worker.lease.drain import Drain
from worker.lease.loop import Patience, Worker
from worker.lease.spool import Spool
from worker.trial.evaluation import Evaluator

pytestmark = pytest.mark.slow

QUICK = Patience(wait_seconds=0.05, away_seconds=0.01, until_idle_seconds=2.0)


def _metrics(place: Path, text: Path) -> tuple[RecoveryMetric, ...]:
    rows = [
        {"context": f"the {word}", "choices": ["sat on", "zzzz"], "answer": 0}
        for word in ("cat", "dog", "mat", "tree")
    ]
    (place / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (place / "held.txt").write_text(text.read_text()[:2000])
    return (
        RecoveryMetric(perplexity=str(place / "held.txt"), window=32, limit=20),
        RecoveryMetric(task=str(place / "own.jsonl")),
    )


def _study(model: Path, text: Path, metrics: tuple[RecoveryMetric, ...]) -> Study:
    recipe = Recipe(
        Data(str(text), "text", held_out=20),
        sequence_length=32,
        batch=Batch(examples=8, micro=8),
        optimizer=Optimizer(learning_rate=1e-2),
    )
    search = Search(
        ranks=(0, 1, 2),
        budget=Budget("uniform:1", trials=2),
        trial=TrialRun(steps=2),
        strategy=StrategyName.RANDOM,
    )
    verify = Verify(candidates=1, seeds=3, max_trials=15, at="recipe", recipe_seeds=3)
    recover = Recover(steps=4, metrics=metrics)
    return Study("tiny", str(model), recipe, search, verify, recover)


def _key(home: Path, role: str) -> str:
    return (home / f"{role}.key").read_text().strip()


class _Recovers(Evaluator):
    """The real one for recoveries; the trials before them, which are not looked at, are made up."""

    def evaluate(
        self,
        assignment: Assignment,
        on_step: OnStep,
        adapter_directory: Path | None = None,
        kept: Path | None = None,
    ) -> Measurement:
        if assignment.purpose is Purpose.RECOVER:
            return super().evaluate(assignment, on_step, adapter_directory, kept)
        vector, layers = assignment.rank_vector, assignment.layers
        price = vector.parameters([layer.parameters_per_rank for layer in layers])
        loss = 3.0 - 0.01 * vector.ranks[0] + 0.001 * (assignment.seed % 7)
        stated = Inputs(reading=READING).stated()
        return Measurement(-loss, loss, loss, assignment.steps, 100, price, versions=stated)


def _work(url: str, key: str, spool: Path) -> None:
    with LeaseClient(url, key, "w1") as client, LeaseClient(url, key, "w1") as renewer:
        evaluator = _Recovers(torch.device("cpu"))
        Worker("w1", client, renewer, evaluator, Spool(spool), drain=Drain(), patience=QUICK).run()


def test_what_recovered_models_score_comes_from_the_worker_to_the_screen(
    description: PrunedModel,  # noqa: F811
    model_directory: Path,  # noqa: F811
    text_file: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics = _metrics(tmp_path, text_file)
    home = tmp_path / "home"
    with listening(start(home).app) as url, RestClient(url, _key(home, "admin")) as client:
        client.register(description)
        study = client.submit(_study(model_directory, text_file, metrics))["id"]
        _work(url, _key(home, "worker"), tmp_path / "spool")
        view, found = client.study(study), client.recovered(study)
        assert view["state"] == "done", view["error"]
        monkeypatch.setenv("RANKADAPTOR_KEY", _key(home, "admin"))
        shown = CliRunner().invoke(cli.app, ["status", study, "--url", url])
        told = CliRunner().invoke(cli.app, ["status", study, "--url", url, "--json"])
        agree = CliRunner().invoke(cli.app, ["fidelity", study, "--url", url])
        agrees = CliRunner().invoke(cli.app, ["fidelity", study, "--url", url, "--json"])
    assert agree.exit_code == 0, agree.output
    assert "Kendall's tau between two of them" in agree.output
    assert "It cannot be told" in " ".join(agree.output.split())
    names = [one["name"] for one in json.loads(agrees.output)["rungs"]]
    assert names[-1] == "metric 2: own.jsonl"
    _check(found)
    assert shown.exit_code == 0, shown.output
    assert "perplexity of held.txt, windows of 32, 20 windows" in shown.output
    assert "acc_norm of own.jsonl, 4 documents, %" in shown.output
    assert json.loads(told.output)["recovered"]["metrics"][0]["documents"] == 20


def _check(found: Recovered) -> None:
    perplexity, accuracy = found.metrics
    pruned, uniform, winner = perplexity.scores
    assert [pruned.seeds, uniform.seeds, winner.seeds] == [1, 3, 3]
    assert pruned.value is not None
    assert winner.value is not None
    assert winner.value < pruned.value  # it was trained on text of the same kind
    assert perplexity.difference is not None
    assert perplexity.difference.seeds == 3
    assert 0.0 < (perplexity.difference.error or 0.0) < 1.0
    assert "The first 20 of" in perplexity.remark
    assert accuracy.documents == accuracy.total == 4
    assert accuracy.difference is not None
    assert accuracy.difference.margin is not None
