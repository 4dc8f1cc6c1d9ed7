"""How far the rungs of a study agree, as the service reads them from its trials."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select, update

from rankspace import Purpose
from rankspace.evaluation.fidelity import Agreement, Fidelity
from rankspace.wire import decode
from service.storage.tables import TrialRow
from service.studies.fidelity import RECOVERED, TRIAL, VERIFICATION, _many
from tests.unit.service.beginnings import DONE
from tests.unit.service.driver import Service, outcome, score, study

pytestmark = pytest.mark.slow

VERIFY = {"candidates": 5, "seeds": 3, "max_trials": 23, "rates": [3.0]}
SEARCH = {**study()["search"], "strategy": "random"}


def _fidelity(service: Service, identity: str) -> Fidelity:
    return decode(Fidelity, service.get(f"/v1/studies/{identity}/fidelity"))


def _exactly(lease: Any) -> float:
    """A score without noise; verification is kinder to all."""
    shift = 0.5 if lease["purpose"] == "verify" else 0.0
    return shift - 3.0 + sum(0.001 * at * rank for at, rank in enumerate(_ranks(lease)))


def _ranks(lease: Any) -> list[int]:
    return list(lease["rank_vector"]["ranks"])


def test_trials_and_verification_are_compared_on_the_vectors_both_have(service: Service) -> None:
    identity = service.submit(search=SEARCH, verify=VERIFY)
    assert _fidelity(service, identity).rungs == ()
    ran = service.work(trials=1, measure=_exactly)
    lost = service.claim()
    service.report(lost, None)
    stopped = service.claim()
    body = outcome(stopped, score(stopped))
    body["measurement"]["steps"] = 5
    assert service.post(f"/v1/leases/{stopped['trial_id']}/report", body, "worker").is_success
    ran += service.work(measure=_exactly)
    found = _fidelity(service, identity)
    rungs = {one.name: one for one in found.rungs}
    assert list(rungs) == [TRIAL, VERIFICATION, RECOVERED]
    searched = {str(_ranks(one)) for one in ran if one["purpose"] == "search"}
    verified = {
        str(_ranks(one))
        for one in ran
        if one["purpose"] == "verify" and one["recipe"]["optimizer"]["learning_rate"] < 2e-4
    }
    assert (rungs[TRIAL].vectors, rungs[VERIFICATION].vectors) == (len(searched), len(verified))
    assert rungs[VERIFICATION].repeat == pytest.approx(1.0)
    assert rungs[TRIAL].repeat is None
    first, *others = found.agreements
    assert (first.lower, first.upper) == (TRIAL, VERIFICATION)
    assert first.vectors == len(searched & verified) >= 4
    assert first.tau == pytest.approx(1.0)
    assert all("It cannot be told: 1 vectors on both" in one.sentence for one in others)
    said = " ".join(found.remarks)
    for what in ("1 trials failed", "1 trials ended early", "2 trials ran at another", "chosen"):
        assert what in said


def test_vectors_on_seeds_of_their_own_are_left_out_and_counted(service: Service) -> None:
    identity = service.submit(search=SEARCH, verify=VERIFY)
    service.work(measure=_exactly)
    with service.app.state.runtime.database.writing() as session:
        searched = TrialRow.purpose == Purpose.SEARCH
        last = select(func.max(TrialRow.id)).where(searched).scalar_subquery()
        session.execute(update(TrialRow).where(TrialRow.id == last).values(seed=12345))
    said = [one for one in _fidelity(service, identity).remarks if "share no seed" in one]
    assert len(said) == 1
    assert said[0].startswith(f"{TRIAL}: 1 of ")


def test_of_many_intervals_some_are_chance_and_that_is_said() -> None:
    told = Agreement("a", "b", 5, 0.8, 0.1, 1.0, "")
    (said,) = _many((told,) * 10)
    assert "of 10 that mean nothing, about 0.5" in said
    assert [*_many((told, replace(told, tau=None)))] == []


@DONE
def test_with_few_vectors_it_says_plainly_that_nothing_can_be_told(service: Service) -> None:
    found = _fidelity(service, service.only_study())
    assert all(one.tau is None and "cannot be told" in one.sentence for one in found.agreements)
    assert len(found.agreements) == 3
