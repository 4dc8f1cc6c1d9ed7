"""What a study's data came to is said wherever somebody looks at the study."""

import dataclasses
from typing import Any

from sqlalchemy import select

from rankspace import Measurement
from rankspace.observation import DataCounts
from rankspace.wire import LATER, encode
from service.storage.tables import ObservationRow
from tests.unit.service.driver import Service, measurement, score

COUNTS = DataCounts(340, 290, 12, 5, 40, 5, 5, 412, 256, 128)


def _report(service: Service, lease: Any, counts: DataCounts | None) -> None:
    measured = measurement(score(lease), lease) | ({"data": encode(counts)} if counts else {})
    answer = service.report(lease, score(lease), measurement=measured)
    assert answer.json() == {"status": "accepted"}


def _seen(service: Service, study: str) -> Any:
    return service.get(f"/v1/studies/{study}")["data"]


def test_the_first_result_that_says_what_the_data_came_to_says_it_for_the_study(
    service: Service,
) -> None:
    study = service.submit()
    assert _seen(service, study) is None
    _report(service, service.claim(), None)
    assert _seen(service, study) is None
    _report(service, service.claim(), COUNTS)
    service.report(service.claim(), None)
    _report(service, service.claim(), None)  # a worker of before hides no warning
    assert _seen(service, study) == encode(COUNTS)
    assert _seen(service, service.submit(name="other")) is None


def test_a_service_of_the_version_before_reads_every_measurement(service: Service) -> None:
    """It shares the database during an upgrade, and refuses a field that it does not know."""
    study = service.submit()
    for counts in (None, COUNTS):
        _report(service, service.claim(), counts)
    with service.app.state.runtime.database.reading() as session:
        kept = session.scalars(select(ObservationRow.measurement)).all()
    fields = {one.name for one in dataclasses.fields(Measurement)}
    later = {one.name for one in dataclasses.fields(Measurement) if one.metadata == LATER}
    assert later == {"data", "texts", "scores", "metrics"}
    assert [one.keys() for one in kept] == [fields - later] * 2
    trials = service.get(f"/v1/studies/{study}/trials")["items"]
    assert not any("data" in (trial["measurement"] or {}) for trial in trials)


def test_the_page_says_it_in_words_and_marks_what_is_worrying(service: Service) -> None:
    study = service.submit()
    code = service.client.post("/v1/login-codes", headers=service.key("admin")).json()["code"]
    service.client.post("/login", data={"code": code})
    assert "held out to choose by" not in service.client.get(f"/studies/{study}").text
    _report(service, service.claim(), COUNTS)
    page = service.client.get(f"/studies/{study}").text
    assert f'<dt>Data</dt><dd class="problem">{COUNTS.sentence}.</dd>' in page
