"""Services of before share the database while a new release takes their place: what they write."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text

from rankspace.recipe import Inputs
from service import housekeeping
from service.studies.requests import keep_requests
from tests.unit.service.beginnings import DONE
from tests.unit.service.driver import Service, measurement, score, start, study
from tests.waiting import wait_for

A, B = "a" * 64, "b" * 64
LATER: Mapping[str, Any] = {
    "search": {**study()["search"], "strategy": "blend"},
    "verify": {
        **study()["verify"],
        "margin": 0.5,
        "least_gain": 0.25,
        "controls": ["down_proj"],
        "rates": [3.0],
    },
}
"""What a service of schema 0009 knows nothing of."""

STATED = {"data": A, "tokenizer": B, "reading": 2}

STATE_INPUTS = "UPDATE studies SET document = :document WHERE id = :id"
EXTEND = (
    "UPDATE studies SET document = :document, submitted = coalesce(submitted, :before), "
    "extensions = :extensions, state = 'searching', stage = 'searching' WHERE id = :id"
)
EVENT = (
    "INSERT INTO events (study_id, kind, content, created_at) VALUES (:id, :kind, :content, 1.0)"
)
SUBMIT = "UPDATE studies SET request = NULL, document = :document WHERE id = :id"
"""Its insertion names no column that it does not know."""


def documents(service: Service, study_id: str) -> Any:
    with service.app.state.runtime.database.reading() as session:
        found = text("SELECT request, document, submitted FROM studies WHERE id = :id")
        return session.execute(found, {"id": study_id}).one()


def execute(service: Service, statement: str, study_id: str, event: str, **values: Any) -> None:
    content = json.dumps({"trials": 3, "by": {}, "key": None} if event == "extended" else {})
    with service.app.state.runtime.database.writing() as session:
        session.execute(text(statement), {"id": study_id, **values})
        session.execute(text(EVENT), {"id": study_id, "kind": event, "content": content})


def forgotten(document: str, trials: int = 0, **beside: Any) -> str:
    """As a service of schema 0009 writes it: the inputs lay beside then, and nothing else.

    By hand, after what that release wrote: it is not here to run.
    """
    packed = json.loads(document)
    packed["value"]["search"]["budget"]["trials"] += trials
    kept = {name: packed[name] for name in ("wire", "value", "inputs")}
    return json.dumps({**kept, **beside}, separators=(",", ":"))


def extend_as_before(service: Service, study_id: str, trials: int = 3) -> None:
    _, document, _ = documents(service, study_id)
    extension = {"trials": trials, "seeds": None, "before": {"verify": 0, "recover": 0}}
    execute(
        service,
        EXTEND,
        study_id,
        "extended",
        document=forgotten(document, trials),
        before=document,
        extensions=json.dumps([extension]),
    )


def seen(service: Service, study_id: str) -> Any:
    return service.get(f"/v1/studies/{study_id}")["study"]


def test_inputs_that_it_writes_down_cost_the_study_nothing(service: Service) -> None:
    study_id = service.submit(**LATER)
    before = seen(service, study_id)
    _, document, _ = documents(service, study_id)
    execute(service, STATE_INPUTS, study_id, "done", document=forgotten(document, inputs=STATED))
    assert seen(service, study_id) == {**before, "inputs": STATED}
    assert before["verify"]["margin"] == 0.5
    assert before["search"]["strategy"] == "blend"


def test_a_study_that_it_extends_goes_on_as_submitted(service: Service) -> None:
    study_id = service.submit(**LATER)
    service.work()
    before = seen(service, study_id)
    extend_as_before(service, study_id)
    budget = {**before["search"]["budget"], "trials": 10}
    expected = {**before, "search": {**before["search"], "budget": budget}}
    assert seen(service, study_id) == expected
    path = f"/v1/studies/{study_id}"
    assert service.post(f"{path}/cancel").status_code == 200
    assert seen(service, study_id) == before
    assert service.post(f"{path}/extend", {"trials": 2}).status_code == 200
    assert seen(service, study_id)["search"]["budget"]["trials"] == 9
    clone = service.post(f"{path}/clone", {}).json()["study"]
    assert clone["verify"] == before["verify"]
    assert clone["search"]["strategy"] == "blend"
    assert service.post(f"{path}/cancel").status_code == 200
    assert service.client.delete(path, headers=service.key("admin")).status_code == 204


def test_a_key_still_finds_what_it_has_extended(service: Service) -> None:
    sent, headers = study(**LATER), {**service.key("admin"), "Idempotency-Key": "k"}
    first = service.submit(**LATER)
    execute(service, "UPDATE studies SET idempotency_key = 'k' WHERE id = :id", first, "submitted")
    extend_as_before(service, first)
    assert service.client.post("/v1/studies", json=sent, headers=headers).json()["id"] == first
    other = {**sent, "verify": {**LATER["verify"], "margin": 0.25}}
    assert service.client.post("/v1/studies", json=other, headers=headers).status_code == 409


def test_nobody_rewrites_what_was_submitted(service: Service) -> None:
    study_id = service.submit(**LATER)
    path = f"/v1/studies/{study_id}"
    kept = documents(service, study_id).request
    while lease := service.claim():
        measured = {**measurement(score(lease), lease), "versions": Inputs(A, B, 2).stated()}
        service.report(lease, score(lease), measurement=measured)
    assert seen(service, study_id)["inputs"] == STATED
    assert service.post(f"{path}/extend", {"trials": 2}).status_code == 200
    assert documents(service, study_id).request == kept
    assert service.post(f"{path}/cancel").status_code == 200
    assert seen(service, study_id)["search"]["budget"]["trials"] == 7
    assert documents(service, study_id).request == kept
    keep_requests(service.app.state.runtime.database)
    assert documents(service, study_id).request == kept


def test_what_it_submits_is_kept_before_any_other_rewrites_it(service: Service) -> None:
    lost, extended, ours = (service.submit(**LATER) for _ in range(3))
    whole = documents(service, lost)
    database = service.app.state.runtime.database
    for study_id in (lost, extended):
        execute(service, SUBMIT, study_id, "submitted", document=whole.document)
    extend_as_before(service, extended)
    keep_requests(database)
    for study_id in (lost, extended, ours):
        assert json.loads(documents(service, study_id).request) == json.loads(whole.request)
    before = seen(service, lost)
    execute(service, STATE_INPUTS, lost, "done", document=forgotten(whole.document))
    assert seen(service, lost) == before


def test_it_is_kept_at_our_start_and_by_housekeeping(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start(directory)
    with service.client:
        study_id = service.submit()
        request, document, _ = documents(service, study_id)
        execute(service, SUBMIT, study_id, "submitted", document=document)
    monkeypatch.setattr(housekeeping, "TIDY_SECONDS", 0.0)
    service = start(directory, housekeeping_seconds=0.05)
    with service.client:
        assert documents(service, study_id).request == request
        execute(service, SUBMIT, study_id, "submitted", document=document)
        wait_for(lambda: documents(service, study_id).request == request)


def test_a_study_that_cannot_be_read_keeps_nobody_from_the_rest(service: Service) -> None:
    broken, readable = service.submit(), service.submit()
    _, document, _ = documents(service, readable)
    unreadable = json.dumps({**json.loads(document), "wire": 0})
    execute(service, SUBMIT, broken, "submitted", document=unreadable)
    execute(service, SUBMIT, readable, "submitted", document=document)
    with structlog.testing.capture_logs() as logs:
        keep_requests(service.app.state.runtime.database)
    assert [one["study"] for one in logs if one["event"] == "study cannot be read"] == [broken]
    assert documents(service, broken).request is None
    assert documents(service, readable).request is not None


@DONE
def test_what_it_submits_is_kept_from_our_first_change_on(service: Service) -> None:
    study_id = service.only_study()
    _, document, _ = documents(service, study_id)
    execute(service, SUBMIT, study_id, "submitted", document=forgotten(document))
    before = seen(service, study_id)
    assert service.post(f"/v1/studies/{study_id}/extend", {"trials": 2}).status_code == 200
    request, _, submitted = documents(service, study_id)
    assert json.loads(request)["value"]["search"]["budget"]["trials"] == 7
    assert submitted == forgotten(document)
    assert seen(service, study_id)["verify"] == before["verify"]
