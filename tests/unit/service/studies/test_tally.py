"""The best trial of each study, of many at once."""

from service.studies.tally import tallies
from tests.unit.service.driver import Service, score


def test_the_best_is_the_first_search_trial_with_the_highest_score(service: Service) -> None:
    flat, rising, failed, fresh = (service.submit(name=name) for name in "abcd")
    seen: dict[str, list[tuple[float, int]]] = {flat: [], rising: []}

    def measure(lease: dict[str, object]) -> float | None:
        if lease["study_id"] == failed:
            return None
        if lease["purpose"] != "search":
            return 0.0 if lease["study_id"] == flat else score(lease)
        value = -3.0 if lease["study_id"] == flat else score(lease)
        seen[str(lease["study_id"])].append((value, -int(str(lease["trial_id"]))))
        return value

    for study in (flat, rising, failed, fresh):
        service.post(f"/v1/studies/{study}/pause")
    for study in (flat, rising, failed):
        service.post(f"/v1/studies/{study}/resume")
        service.work(9, measure)  # the search, and two trials that do not count
        service.post(f"/v1/studies/{study}/pause")
    with service.app.state.runtime.database.reading() as session:
        found = tallies(session, [flat, rising, failed, fresh])
    for study, trials in seen.items():
        best = found[study].best
        assert best is not None
        assert (best.score, -best.trial) == max(trials)
    assert found[failed].best is None
    assert fresh not in found or found[fresh].best is None
    assert len(seen[flat]) == 7
