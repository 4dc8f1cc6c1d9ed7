"""The spool: what waits on disk is delivered, by this version or another, or given up aloud."""

import errno
import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from rankspace import Assignment, Measurement
from rankspace.errors import Unauthenticated, UnsupportedVersion
from rankspace.lease import MAX_ERROR
from rankspace.observation import DataCounts
from rankspace.wire import decode, encode
from worker.errors import NoAnswer
from worker.lease.client import LeaseClient
from worker.lease.report import SpooledReport, done, failed
from worker.lease.spool import Spool

Assign = Callable[..., Assignment]
Answer = tuple[int, Any]
LOST: Answer = (409, {"error": "LeaseLost", "detail": "handed on", "hint": ""})
ACCEPTED: Answer = (200, {"status": "accepted"})

MEASUREMENT = Measurement(-1.0, 1.0, 1.5, 3, 100, 20)


def test_reports_survive_a_restart(
    service: Any, client: LeaseClient, assign: Assign, tmp_path: Path
) -> None:
    service.leases.hold(assign(keep_adapter=True), "dead-worker")
    service.say("report", (500, {}))
    first = Spool(tmp_path / "spool")
    (first.adapter_directory(assign())).mkdir()
    (first.adapter_directory(assign()) / "README.md").write_bytes(b"hello")
    first.put(done(assign(), "dead-worker", MEASUREMENT, time.time(), ("README.md",)))
    assert first.deliver(client) == 1
    (file,) = (tmp_path / "spool").glob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    service.say("report", ACCEPTED)
    second = Spool(tmp_path / "spool")
    assert second.holds(assign())
    assert second.deliver(client) == 0
    assert service.bodies("report")[-1]["worker"] == "dead-worker"
    assert service.bodies("upload") == [b"hello", b"hello"]
    assert (
        "/v1/leases/1/artifacts/README.md?worker=dead-worker&token=1&study_id=st_1"
        in service.seen[0][1]
    )
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_stale_report_is_dropped(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    service.say("report", LOST, ACCEPTED)
    for trial in (1, 2):
        spool.put(done(assign(trial_id=trial), "w", MEASUREMENT, time.time() + trial, ()))
    assert spool.deliver(client) == 0
    assert len(service.bodies("report")) == 2


def test_a_result_that_is_refused_is_reported_as_failed(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    service.say("report", (422, {"error": "InvalidInput", "detail": "loss is odd"}), ACCEPTED)
    spool.put(done(assign(), "w", MEASUREMENT, time.time(), ()))
    assert spool.deliver(client) == 0
    assert [body["outcome"] for body in service.bodies("report")] == ["done", "failed"]
    assert "loss is odd" in service.bodies("report")[1]["error"]


def test_a_refused_key_keeps_the_report(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    service.say("report", (401, {"error": "Unauthenticated", "detail": "unknown key"}))
    spool.put(done(assign(), "w", MEASUREMENT, time.time(), ()))
    with pytest.raises(Unauthenticated):
        spool.deliver(client)
    assert spool.holds(assign())


def _after_a_day(directory: Path) -> Spool:
    return Spool(directory, clock=lambda: 100_000.0)


LONG_AGO = 13_000.0


def test_after_a_day_a_report_is_offered_all_the_same(
    service: Any, client: LeaseClient, assign: Assign, tmp_path: Path
) -> None:
    """The service may have been away for that long, or this machine's clock be wrong."""
    service.say("report", ACCEPTED)
    spool = _after_a_day(tmp_path / "spool")
    spool.put(done(assign(), "w", MEASUREMENT, LONG_AGO, ()))
    with capture_logs() as logs:
        assert spool.deliver(client) == 0
    assert len(service.bodies("report")) == 1
    assert [line["event"] for line in logs] == ["report_delivered"]


NOT_HERE: Answer = (404, {"error": "NotFound", "detail": "no such study"})


def test_another_services_report_waits_and_blocks_nothing(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    """Services may share a spool: the report is for the one that knows its study."""
    foreign, own = assign(study_id="st_elsewhere"), assign(token=2)
    spool.put(done(foreign, "w", MEASUREMENT, time.time() - 9, ()))
    spool.put(done(own, "w", MEASUREMENT, time.time(), ()))
    service.say("report", NOT_HERE, ACCEPTED)
    assert spool.deliver(client) == 1
    assert (spool.holds(foreign), spool.holds(own)) == (True, False)


@pytest.mark.parametrize("answer", [(404, "NotFound"), (403, "WrongWorker")])
def test_after_a_day_a_report_that_is_not_wanted_is_given_up(
    service: Any, client: LeaseClient, assign: Assign, tmp_path: Path, answer: tuple[int, str]
) -> None:
    status, error = answer
    service.say("report", (status, {"error": error, "detail": "not here"}))
    spool = _after_a_day(tmp_path / "spool")
    spool.put(done(assign(), "w", MEASUREMENT, LONG_AGO, ()))
    with capture_logs() as logs:
        assert spool.deliver(client) == 0
    assert len(service.bodies("report")) == 1
    assert "nobody has wanted it" in logs[-1]["problem"]
    assert not spool.holds(assign())


def test_a_report_outlasts_a_service_that_is_away_for_days(
    service: Any, client: LeaseClient, assign: Assign, tmp_path: Path
) -> None:
    service.say("report", (503, {"error": "Unreachable", "detail": "no database"}))
    spool = _after_a_day(tmp_path / "spool")
    spool.put(done(assign(), "w", MEASUREMENT, LONG_AGO, ()))
    assert spool.deliver(client) == 1
    service.say("report", ACCEPTED)
    assert spool.deliver(client) == 0


NOT_MINE: Answer = (403, {"error": "WrongWorker", "detail": "bound to w1", "hint": ""})


def test_another_worker_s_report_waits_for_a_key_that_may_deliver_it(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    left, own = assign(trial_id=2), assign()
    spool.put(done(left, "w0", MEASUREMENT, time.time() - 9, ()))
    spool.put(done(own, "w1", MEASUREMENT, time.time(), ()))
    service.say("report", NOT_MINE, ACCEPTED)
    assert [spool.deliver(client), spool.deliver(client)] == [1, 1]
    assert (spool.holds(left), spool.holds(own)) == (True, False)
    assert len(service.bodies("report")) == 2


def test_the_same_trial_number_of_two_studies_is_two_reports(assign: Assign, spool: Spool) -> None:
    spool.put(done(assign(study_id="st_2"), "w", MEASUREMENT, time.time(), ()))
    assert not spool.holds(assign())
    assert spool.adapter_directory(assign()) != spool.adapter_directory(assign(study_id="st_2"))


def test_a_service_is_asked_once_for_a_report_it_does_not_know(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    spool.put(done(assign(), "w", MEASUREMENT, time.time(), ()))
    service.say("report", NOT_HERE)
    assert [spool.deliver(client), spool.deliver(client)] == [1, 1]
    assert len(service.bodies("report")) == 1


def test_a_waiting_upload_of_another_service_is_kept(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    spool.adapter_directory(assign()).mkdir()
    (spool.adapter_directory(assign()) / "README.md").write_bytes(b"hello")
    spool.put(done(assign(), "w", MEASUREMENT, time.time(), ("README.md",)))
    service.say("upload", NOT_HERE)
    assert spool.deliver(client) == 1
    assert (spool.adapter_directory(assign()) / "README.md").exists()
    assert service.bodies("report") == []


def test_a_report_the_service_chokes_on_does_not_hold_up_the_others(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    for trial in (1, 2, 3):
        spool.put(done(assign(trial_id=trial), "w", MEASUREMENT, time.time() + trial, ()))
    service.say("report", (500, {"error": "InternalError", "detail": "bug"}), ACCEPTED)
    assert spool.deliver(client) == 1
    assert spool.holds(assign(trial_id=1))
    assert len(service.bodies("report")) == 3


def test_without_a_service_the_round_ends_at_once(assign: Assign, spool: Spool) -> None:
    class Absent:
        tried = 0

        def upload(self, report: SpooledReport, file: Path) -> None: ...

        def report(self, report: SpooledReport) -> str:
            self.tried += 1
            raise NoAnswer("connection refused")

    for trial in (1, 2, 3):
        spool.put(done(assign(trial_id=trial), "w", MEASUREMENT, time.time() + trial, ()))
    absent = Absent()
    assert spool.deliver(absent) == 3
    assert absent.tried == 1


def test_what_a_crash_left_in_the_spool_is_swept_after_a_day(
    assign: Assign, tmp_path: Path
) -> None:
    now = time.time()
    spool = Spool(tmp_path / "spool", clock=lambda: now)
    for trial, age in ((1, 2 * 86_400), (2, 60), (3, 2 * 86_400)):
        directory = spool.adapter_directory(assign(trial_id=trial))
        directory.mkdir()
        os.utime(directory, (now - age, now - age))
    spool.put(done(assign(trial_id=3), "w", MEASUREMENT, now, ()))
    (tmp_path / "spool" / "somebody-else").mkdir()
    os.utime(tmp_path / "spool" / "somebody-else", (0, 0))
    spool.sweep()
    left = [spool.adapter_directory(assign(trial_id=trial)).exists() for trial in (1, 2, 3)]
    assert left == [False, True, True]
    assert (tmp_path / "spool" / "somebody-else").exists()


def test_a_damaged_report_is_left_for_a_person(
    client: LeaseClient, spool: Spool, tmp_path: Path
) -> None:
    (tmp_path / "spool" / "1-1.json").write_text("{")
    assert spool.deliver(client) == 0
    assert (tmp_path / "spool" / "1-1.json").exists()


def test_reports_round_trip(assign: Assign) -> None:
    report = done(assign(), "w", MEASUREMENT, 1.0, ("README.md",))
    assert decode(SpooledReport, encode(report)) == report
    assert report.name == "st_1-1-1"


# Disks that are full, gone or read-only


def _full(_handle: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_cannot_be_written_is_kept_in_memory_until_it_can(
    service: Any,
    client: LeaseClient,
    assign: Assign,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service.say("report", (503, {"error": "Unreachable", "detail": "no database"}))
    spool = Spool(tmp_path / "spool")
    with monkeypatch.context() as full, capture_logs() as logs:
        full.setattr(os, "fsync", _full)
        spool.put(done(assign(), "w", MEASUREMENT, time.time(), ()))
        assert [spool.deliver(client), spool.deliver(client)] == [1, 1]
    assert (spool.holds(assign()), spool.unkept) == (True, 1)
    told = [line for line in logs if line["event"] == "report_not_kept"]
    assert len(told) == 1
    assert "No space left on device" in told[0]["problem"]
    assert "RANKADAPTOR_SPOOL_DIRECTORY" in told[0]["fix"]
    assert list((tmp_path / "spool").iterdir()) == []
    assert spool.deliver(client) == 1
    assert (spool.unkept, Spool(tmp_path / "spool").holds(assign())) == (0, True)


def test_a_result_kept_in_memory_that_is_refused_is_reported_as_failed(
    service: Any, client: LeaseClient, assign: Assign, tmp_path: Path
) -> None:
    service.say("report", (422, {"error": "InvalidInput", "detail": "loss is odd"}), ACCEPTED)
    spool = Spool(tmp_path / "spool")
    (tmp_path / "spool").rmdir()
    spool.put(done(assign(), "w", MEASUREMENT, time.time(), ()))
    assert spool.deliver(client) == 0
    assert [body["outcome"] for body in service.bodies("report")] == ["done", "failed"]
    assert not spool.holds(assign())


def test_a_report_that_cannot_be_removed_is_delivered_once(
    service: Any,
    client: LeaseClient,
    assign: Assign,
    spool: Spool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    service.say("report", ACCEPTED)
    spool.put(done(assign(), "w", MEASUREMENT, time.time(), ()))
    with monkeypatch.context() as read_only:
        read_only.setattr(Path, "unlink", _read_only)
        assert [spool.deliver(client), spool.deliver(client)] == [1, 1]
    assert len(service.bodies("report")) == 1


def _read_only(_path: Path, missing_ok: bool = False) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


# Across versions

WRITTEN_BEFORE: dict[str, Any] = {
    "wire": 1,
    "value": {
        "study_id": "st_1",
        "trial_id": 1,
        "token": 3,
        "worker": "dead-worker",
        "outcome": "done",
        "measurement": {
            "score": -1.0,
            "loss": 1.0,
            "train_loss": 1.5,
            "steps": 3,
            "tokens": 100,
            "parameters": 20,
            "seconds": {"train": 0.5},
            "peak_bytes": 7,
            "versions": {"torch": "2.10"},
        },
        "error": None,
        "finished": 1000.0,
        "files": ["README.md"],
    },
}
"""A file of version 0.1.0 from before messages had classes of their own."""


def test_a_file_of_the_version_before_is_delivered(
    service: Any, client: LeaseClient, assign: Assign, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool", clock=lambda: 1001.0)
    (tmp_path / "spool" / "st_1-1-3.json").write_text(json.dumps(WRITTEN_BEFORE))
    (tmp_path / "spool" / "st_1-1-3.adapter").mkdir()
    (tmp_path / "spool" / "st_1-1-3.adapter" / "README.md").write_bytes(b"hello")
    service.leases.hold(assign(keep_adapter=True, token=3), "dead-worker")
    assert spool.deliver(client) == 0
    names = ("worker", "token", "study_id", "outcome", "measurement", "error")
    value = WRITTEN_BEFORE["value"]
    assert service.bodies("report") == [{name: value[name] for name in names}]
    assert service.bodies("upload") == [b"hello"]
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_waits_is_delivered_with_its_counts(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool, tmp_path: Path
) -> None:
    counts = DataCounts(340, 290, 12, 5, 40, 5, 5, 412, 256, 128)
    lease = assign(token=3)
    spool.put(done(lease, "dead-worker", replace(MEASUREMENT, data=counts), 1000.0, ()))
    service.leases.hold(lease, "dead-worker")
    assert Spool(tmp_path / "spool", clock=lambda: 1001.0).deliver(client) == 0
    (body,) = service.bodies("report")
    assert body["measurement"]["data"] == encode(counts)


def test_a_receipt_nobody_understands_keeps_the_report(
    service: Any, client: LeaseClient, assign: Assign, spool: Spool
) -> None:
    service.say("report", (200, {"status": "perhaps"}))
    spool.put(done(assign(), "w", MEASUREMENT, time.time(), ()))
    with pytest.raises(UnsupportedVersion, match="perhaps"):
        spool.deliver(client)
    assert spool.holds(assign())


def test_errors_are_cut_to_what_the_service_takes(assign: Assign) -> None:
    assert failed(assign(), "w", "x" * MAX_ERROR, 0.0).error == "x" * MAX_ERROR
    long = "x" * (MAX_ERROR + 1)
    cut = [
        failed(assign(), "w", long, 0.0),
        done(assign(), "w", MEASUREMENT, 0.0, ()).refused(long),
    ]
    assert [len(report.error or "") for report in cut] == [MAX_ERROR] * 2
    assert [(report.error or "")[-1] for report in cut] == ["…"] * 2
