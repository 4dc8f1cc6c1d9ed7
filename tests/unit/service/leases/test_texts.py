"""Losses by held-out text: who is asked for them, what is taken, what the verdict makes of it."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import select

from rankspace.lease import PROTOCOL, TEXTS_SINCE
from service.storage.tables import ObservationRow
from tests.unit.service.beginnings import JUDGED
from tests.unit.service.driver import Service, outcome, score

pytestmark = pytest.mark.slow

TEXTS, TOKENS = 8, 50


def told(lease: Mapping[str, Any], value: float) -> dict[str, Any]:
    """The report of ``value``: some texts are easier than others."""
    body = outcome(lease, value)
    losses = [TOKENS * (-value + 0.1 * (at - (TEXTS - 1) / 2)) for at in range(TEXTS)]
    body["measurement"]["texts"] = {"losses": losses, "tokens": [TOKENS] * TEXTS}
    return body


def report(service: Service, lease: Mapping[str, Any], body: Any) -> Any:
    return service.post(f"/v1/leases/{lease['trial_id']}/report", body, "worker")


def asked(service: Service, protocol: int = PROTOCOL) -> Any:
    """Work up to the first trial that judges, and claim it."""
    while True:
        claim = {"worker": "w1", "protocol": protocol}
        lease = service.post("/v1/leases?wait=0", claim, "worker").json()
        if lease["purpose"] == "verify" and lease["split"] == "final":
            return lease
        assert "texts" not in lease
        assert report(service, lease, outcome(lease, score(lease))).is_success


def test_the_trials_that_judge_are_asked_for_and_the_verdict_allows_for_it(
    service: Service,
) -> None:
    identity = service.submit()
    asks = 0
    while lease := service.claim():
        value = score(lease)
        if lease["keep_adapter"]:
            service.upload(lease)
        asks += lease.get("texts", False)
        body = told(lease, value) if lease.get("texts") else outcome(lease, value)
        assert report(service, lease, body).json() == {"status": "accepted"}
    view = service.get(f"/v1/studies/{identity}")
    assert asks >= 9
    assert view["verdict"]["versus_uniform"]["texts"] == TEXTS
    trials = service.get(f"/v1/studies/{identity}/trials?limit=1000")["items"]
    assert all("texts" not in (trial["measurement"] or {}) for trial in trials)
    with service.app.state.runtime.database.reading() as session:
        kept = session.scalars(select(ObservationRow.texts)).all()
    assert sum(one is not None for one in kept) == asks


def test_a_worker_of_before_is_not_asked_and_served_all_the_same(service: Service) -> None:
    service.submit()
    lease = asked(service, TEXTS_SINCE - 1)
    assert "texts" not in lease
    assert report(service, lease, outcome(lease, score(lease))).is_success
    assert asked(service)["texts"]


@JUDGED
@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("losses", [1e308] * TEXTS, "measurement.texts.losses[0]"),
        ("losses", [-1.0] * TEXTS, "measurement.texts.losses[0]"),
        ("losses", [1.0] * (TEXTS - 1), "measurement.texts.losses"),
        ("losses", [1.0] * TEXTS, "measurement.loss"),
        ("tokens", [0] * TEXTS, "measurement.texts.tokens[0]"),
        ("tokens", [2**53] * TEXTS, "measurement.texts.tokens[0]"),
        ("tokens", [], "measurement.texts.losses"),
    ],
)
def test_losses_that_cannot_be_are_refused_with_the_field_and_the_fix(
    service: Service, field: str, value: Any, named: str
) -> None:
    lease = service.claim()
    body = told(lease, score(lease))
    body["measurement"]["texts"][field] = value
    answer = report(service, lease, body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"].startswith(named)
    assert answer.json()["hint"]
