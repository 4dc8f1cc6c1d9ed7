"""Metrics of recovered models: who is asked, what is taken, and what is shown of it."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import update

from rankspace.evaluation.metric_score import MOST_GROUPS
from rankspace.evaluation.recovery_metric import MOST_METRICS
from rankspace.lease import METRICS_SINCE
from service.storage.tables import BarRow, TrialRow
from service.workers.bars import TRIES
from tests.unit.service.beginnings import EVALUATED, RECOVERING, TO_BE_EVALUATED
from tests.unit.service.driver import Service, holding, model, outcome, score, study

pytestmark = pytest.mark.slow

UNIFORM, NOTHING = [2] * 12, [0] * 12
FILE = "c" * 64  # as the study states it


def _ranks(lease: Any) -> Any:
    return lease["rank_vector"]["ranks"]


def _scores(lease: Any) -> list[dict[str, Any]]:
    """The winner loses a tenth of a nat less in each window, and answers one question more."""
    shift = {str(UNIFORM): 0.1, str(NOTHING): 1.0}.get(str(_ranks(lease)), 0.0)
    losses = [2.0 + 0.25 * at + shift for at in range(4)]
    right = [1.0, 1.0, 0.0, 1.0 if not shift else 0.0]
    common = {"file": FILE, "counts": [1, 1, 1, 1], "total": 4, "dropped": 0, "cut": 0}
    return [
        {**common, "name": "perplexity", "sums": losses, "margins": [], "control": 2, "dropped": 7},
        {**common, "name": "acc", "sums": right, "margins": [0.5 - shift] * 4, "control": 0},
    ]


def _told(lease: Any, **changes: Any) -> dict[str, Any]:
    body = outcome(lease, score(lease))
    if lease["purpose"] == "recover":
        body["measurement"]["metrics"] = _scores(lease)
    return {**body, **changes}


def _report(service: Service, lease: Mapping[str, Any], body: Any) -> Any:
    if lease["keep_adapter"]:
        service.upload(lease)
    return service.post(f"/v1/leases/{lease['trial_id']}/report", body, "worker")


def _until_recovery(service: Service) -> Any:
    while (lease := service.claim())["purpose"] != "recover":
        assert "metrics" not in lease
        assert _report(service, lease, _told(lease)).is_success
    return lease


def _page(service: Service, identity: str) -> str:
    made = service.client.post("/v1/login-codes", headers=service.key("admin"))
    service.client.post("/login", data={"code": made.json()["code"]})
    return service.client.get(f"/studies/{identity}").text


@TO_BE_EVALUATED
def test_recoveries_are_evaluated_and_compared_in_pairs(service: Service) -> None:
    identity = service.only_study()
    path = f"/v1/studies/{identity}/recovered"
    (before, _) = service.get(path)["metrics"]
    assert (before["scores"], before["remark"]) == ([], "Nothing was measured yet.")
    lease, ran = service.claim(), 0
    while lease is not None:
        assert [one["task"] for one in lease["metrics"]] == [None, "arc.jsonl"]
        assert _report(service, lease, _told(lease)).json() == {"status": "accepted"}
        lease, ran = service.claim(), ran + 1
    assert ran == 7
    perplexity, accuracy = service.get(path)["metrics"]
    models = {one["model"]: one for one in perplexity["scores"]}
    assert list(models) == ["pruned", "uniform", "winner"]
    assert [one["seeds"] for one in models.values()] == [1, 3, 3]
    assert models["winner"]["value"] == pytest.approx(2.718281828**2.375)
    assert perplexity["difference"]["mean"] == pytest.approx(-0.1)
    assert perplexity["difference"]["error"] == pytest.approx(0.0, abs=1e-9)
    assert "2 control tokens" in perplexity["remark"]
    assert "7 tokens" in perplexity["remark"]
    assert (accuracy["name"], accuracy["documents"], accuracy["groups"]) == ("acc", 4, 4)
    assert accuracy["difference"]["mean"] == 0.25
    assert accuracy["difference"]["error"] == pytest.approx(0.25)
    assert accuracy["difference"]["margin"] == pytest.approx(0.1)
    page = _page(service, identity)
    assert "perplexity of wikitext2=wiki.txt, windows of 128, 4 windows" in page
    assert "+25.00 ± 25.00" in page
    trials = service.get(f"/v1/studies/{identity}/trials?limit=1000")["items"]
    assert all("metrics" not in (trial["measurement"] or {}) for trial in trials)


def test_alone_the_winner_is_evaluated_and_that_is_said(service: Service) -> None:
    identity = service.submit(recover=EVALUATED)
    lease = _until_recovery(service)
    assert _report(service, lease, _told(lease)).is_success
    found = service.get(f"/v1/studies/{identity}/recovered")
    assert [one["model"] for one in found["metrics"][0]["scores"]] == ["winner"]
    assert found["metrics"][0]["difference"] is None
    assert "nothing is compared" in found["metrics"][0]["remark"]
    assert any("verify.at: recipe" in one for one in found["remarks"])


@RECOVERING
def test_a_study_without_metrics_asks_nobody_and_shows_nothing(service: Service) -> None:
    identity = service.only_study()
    assert all("metrics" not in lease for lease in service.work())
    assert service.get(f"/v1/studies/{identity}/recovered") == {"metrics": [], "remarks": []}
    assert "Recovered models on other data" not in _page(service, identity)


def _with(at: int, **changes: Any) -> Any:
    def spoil(scores: list[dict[str, Any]]) -> list[dict[str, Any]]:
        scores[at] = {**scores[at], **changes}
        return scores

    return spoil


MANY = MOST_GROUPS + 1
LIES: dict[str, tuple[Any, str]] = {
    "none": (lambda scores: [], "metrics ="),
    "one too many": (lambda scores: scores * 2, "metrics ="),
    "in another order": (lambda scores: scores[::-1], "metrics[0].name"),
    "another file": (_with(1, file="d" * 64), "metrics[1].file"),
    "no hash": (_with(0, file="x" * 64), "metrics[0].file"),
    "no loss": (_with(0, sums=[2.0, -1.0, 2.0, 2.0]), "metrics[0].sums[1]"),
    "more right than asked": (_with(1, sums=[2.0, 1.0, 0.0, 1.0]), "metrics[1].sums[0]"),
    "half right": (_with(1, sums=[0.5, 1.0, 0.0, 1.0]), "metrics[1].sums[0]"),
    "sums of others": (_with(1, sums=[1.0]), "metrics[1].sums"),
    "margins of others": (_with(1, margins=[1.0]), "metrics[1].margins"),
    "a margin of no model": (_with(1, margins=[1e9, 0.0, 0.0, 0.0]), "metrics[1].margins[0]"),
    "no documents": (_with(0, counts=[], sums=[]), "metrics[0].counts"),
    "an empty group": (_with(0, counts=[0, 1, 1, 2]), "metrics[0].counts"),
    "groups of one's own": (
        _with(0, counts=[2, 2], sums=[4.0, 4.0]),
        "metrics[0].counts",
    ),
    "fewer than there are": (_with(0, total=5), "metrics[0].counts"),
    "too many groups": (_with(0, counts=[1] * MANY, sums=[2.0] * MANY, total=MANY), "counts"),
    "a failure that is none": (_with(0, failure="memory"), "metrics[0].counts"),
    "a long story": (_with(0, failure="x" * 501), "metrics[0].failure"),
    "below nothing": (_with(0, cut=-1), "metrics[0].cut"),
}


@TO_BE_EVALUATED
def test_what_cannot_be_is_refused_by_its_field(service: Service) -> None:
    lease = service.claim()
    for lie, named in LIES.values():
        body = _told(lease)
        body["measurement"]["metrics"] = lie(body["measurement"]["metrics"])
        answer = _report(service, lease, body)
        assert answer.status_code == 422, lie
        assert f"measurement.{named}" in answer.json()["detail"] or named == "counts"
    assert _report(service, lease, _told(lease)).json() == {"status": "accepted"}


OF_A_MODEL: tuple[tuple[int, dict[str, Any]], ...] = (
    (0, {"sums": [1e9, 2.0, 2.0, 2.0]}),
    (1, {"margins": [1e9, 0.0, 0.0, 0.0]}),
)


@TO_BE_EVALUATED
def test_what_a_model_may_be_the_cause_of_puts_nobody_in_quarantine(service: Service) -> None:
    """Trials of the search, which others ran, say nothing of how it scores elsewhere."""
    with service.app.state.runtime.database.writing() as session:
        session.execute(update(TrialRow).values(worker="other"))
    assert service.claim("other") is not None  # whose results count, and who would be left
    _tell_of_a_model(service)
    assert _quarantine_reason(service, "w1") is None


@TO_BE_EVALUATED
def test_what_another_recovery_has_shown_can_be_told_is_held_against_a_worker(
    service: Service,
) -> None:
    lease = service.claim("other")
    body = _told(lease, worker="other")
    if lease["keep_adapter"]:
        service.upload(lease, worker="other")
    path = f"/v1/leases/{lease['trial_id']}/report"
    assert service.post(path, body, "worker").is_success
    _tell_of_a_model(service)
    assert "measurement.metrics" in str(_quarantine_reason(service, "w1"))


def _tell_of_a_model(service: Service) -> None:
    """Four times, claim by claim; the trials go back."""
    for at, changes in OF_A_MODEL * 2:
        lease = service.claim()
        body = _told(lease)
        body["measurement"]["metrics"] = _with(at, **changes)(body["measurement"]["metrics"])
        assert _report(service, lease, body).status_code == 422
        path = f"/v1/leases/{lease['trial_id']}/release"
        assert service.post(path, holding(lease), "worker").is_success
        if _quarantine_reason(service, "w1"):
            return


def _quarantine_reason(service: Service, worker: str) -> Any:
    items = service.get("/v1/workers")["items"]
    return {one["name"]: one["quarantine_reason"] for one in items}[worker]


def test_nobody_tells_metrics_that_were_not_asked_for(service: Service) -> None:
    service.submit(recover=EVALUATED)
    lease = service.claim()
    body = outcome(lease, score(lease))
    body["measurement"]["metrics"] = _scores(lease)
    answer = _report(service, lease, body)
    assert answer.status_code == 422
    assert "measurement.metrics = 2" in answer.json()["detail"]


@TO_BE_EVALUATED
def test_what_could_not_be_measured_is_shown_beside_what_could(service: Service) -> None:
    identity, lease = service.only_study(), service.claim()
    body = _told(lease)
    empty = {"counts": [], "sums": [], "margins": [], "total": 0}
    body["measurement"]["metrics"][1] |= {**empty, "failure": "too little memory"}
    assert _report(service, lease, body).is_success
    perplexity, accuracy = service.get(f"/v1/studies/{identity}/recovered")["metrics"]
    assert perplexity["scores"][0]["value"] is not None
    assert accuracy["scores"][0]["failures"] == ["too little memory"]
    assert "failed: too little memory" in _page(service, identity)


def test_a_worker_of_before_gets_no_trial_of_a_study_with_metrics(service: Service) -> None:
    identity = service.submit(recover=EVALUATED)
    old = {"worker": "old", "protocol": METRICS_SINCE - 1}
    assert service.post("/v1/leases?wait=0", old, "worker").status_code == 204
    (barred,) = service.get(f"/v1/studies/{identity}")["barred"]
    assert "which knows no recover.metrics; upgrade the worker" in barred["reason"]
    other = service.submit()
    lease = service.post("/v1/leases?wait=0", old, "worker").json()
    assert lease["study_id"] == other


@TO_BE_EVALUATED
def test_a_file_that_no_worker_can_read_pauses_the_study_with_the_reason(
    service: Service,
) -> None:
    identity = service.only_study()
    reason = "recover.metrics[0].perplexity = '/w/wiki.txt': cannot be read"
    for _ in range(TRIES):
        with service.app.state.runtime.database.writing() as session:
            session.execute(update(BarRow).values(until=0.0))
        lease = service.claim()
        path = f"/v1/leases/{lease['trial_id']}/release"
        assert service.post(path, {**holding(lease), "reason": reason}, "worker").is_success
    view = service.get(f"/v1/studies/{identity}")
    assert (view["state"], view["stage"]) == ("paused", "recovering")
    assert reason in view["error"]


@pytest.mark.parametrize(
    ("metrics", "named"),
    [
        ([{}], "recover.metrics[0].perplexity"),
        ([{"perplexity": "a", "task": "b"}], "recover.metrics[0].perplexity"),
        ([{"task": "a", "window": 128}], "recover.metrics[0].window"),
        ([{"task": "a", "form": "ptb"}], "recover.metrics[0].form"),
        ([{"perplexity": "a", "window": 1}], "recover.metrics[0].window"),
        ([{"task": "a", "limit": 0}], "recover.metrics[0].limit"),
        ([{"task": "a" * 5000}], "recover.metrics[0].task"),
        ([{"task": "a", "sha256": "b"}], "recover.metrics[0].sha256"),
        ([{"task": "a"}, {"task": "a"}], "recover.metrics = 2"),
        ([{"task": f"{at}"} for at in range(MOST_METRICS + 1)], "recover.metrics = 9"),
    ],
)
def test_a_list_is_refused_by_its_field(service: Service, metrics: Any, named: str) -> None:
    service.post("/v1/models", model())
    answer = service.post("/v1/studies", study(recover={"metrics": metrics}))
    assert answer.status_code == 422
    assert named in answer.json()["detail"]
