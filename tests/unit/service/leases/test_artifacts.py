"""Uploads: whole, checked, only from the holder, only under known names."""

import contextlib
import hashlib
import os
from pathlib import Path, PurePath
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from rankspace import RankVector
from rankspace.errors import InvalidInput, NotFound
from service.artifacts.beneath import open_beneath
from service.artifacts.repository import Artifacts
from service.artifacts.store import ArtifactStore, Upload
from service.storage.tables import TrialRow
from service.studies.repository import Studies
from tests.unit.service.beginnings import RECOVERING
from tests.unit.service.driver import ON_BOTH, Service, holding, measurement, start

pytestmark = pytest.mark.slow

CONTENT = b"adapter"
WEIGHTS = "adapter_model.safetensors"


def _in_recovery(service: Service) -> tuple[str, Any]:
    lease = service.claim()
    assert lease["purpose"] == "recover"
    return service.only_study(), lease


def _upload(
    service: Service, lease: Any, name: str = WEIGHTS, content: bytes = CONTENT, **query: Any
) -> Any:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return service.client.put(
        f"/v1/leases/{lease['trial_id']}/artifacts/{name}",
        params=holding(lease, **query),
        content=content,
        headers=service.key("worker") | {"X-Content-SHA256": digest},
    )


@RECOVERING
def test_uploads_are_checked_and_become_the_export(service: Service) -> None:
    identity, lease = _in_recovery(service)
    refused = [
        (_upload(service, lease, name="pickle.bin"), 422),
        (_upload(service, lease, name="..%2F..%2Fetc%2Fpasswd"), 404),
        (_upload(service, lease, content=b"other bytes"), 422),
        (_upload(service, lease, token=99), 409),
        (_upload(service, lease, worker="w2"), 409),
        (_upload(service, lease, study_id="st_aaaaaaaaaa"), 404),
    ]
    assert [answer.status_code for answer, _ in refused] == [status for _, status in refused]
    files = [p for p in (service.directory / "artifacts").rglob("*") if p.is_file()]
    assert files == []
    assert _upload(service, lease).status_code == 201
    assert _upload(service, lease).status_code == 201  # repeating is safe
    path, admin = f"/v1/studies/{identity}/export", service.key("admin")
    assert service.client.get(path, headers=admin).status_code == 409
    service.report(lease, -2.0, upload=False)
    (file,) = service.get(path)["files"]
    assert file == {
        "name": WEIGHTS,
        "bytes": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    assert service.client.get(f"{path}/{WEIGHTS}", headers=admin).content == CONTENT
    assert service.client.get(f"{path}/adapter_config.json", headers=admin).status_code == 404
    assert _upload(service, lease).status_code == 409  # the trial is over


def test_search_trials_keep_no_adapter(service: Service) -> None:
    service.submit()
    assert _upload(service, service.claim()).status_code == 409


def test_an_upload_over_the_cap_is_cut_off(directory: Path) -> None:
    service = start(directory, max_artifact_bytes=100)
    with service.client:
        service.submit()
        lease = service.claim()
        assert _upload(service, lease, content=b"x" * 101).status_code == 413


@RECOVERING
def test_deleting_the_study_deletes_its_files(service: Service) -> None:
    identity, lease = _in_recovery(service)
    _upload(service, lease)
    service.report(lease, -2.0, upload=False)
    assert service.claim() is None  # by now the study is over
    answer = service.client.delete(f"/v1/studies/{identity}", headers=service.key("admin"))
    assert answer.status_code == 204, answer.text
    assert list((service.directory / "artifacts").iterdir()) == []


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    folder = tmp_path / "st_aaaaaaaaaa" / "1-1"
    folder.mkdir(parents=True)
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (folder / "README.md").symlink_to(secret)
    with pytest.raises(NotFound):
        store.open("st_aaaaaaaaaa", 1, 1, "README.md")


STUDY = "st_aaaaaaaaaa"


def _store(root: Path) -> tuple[ArtifactStore, Path]:
    """A store, and a directory beside it that is nobody's business."""
    (root / "store").mkdir()
    outside = root / "outside" / "1-1"
    outside.mkdir(parents=True)
    (outside / "README.md").write_text("secret")
    return ArtifactStore(root / "store"), root / "outside"


@pytest.mark.parametrize("linked", ["study", "trial"])
def test_no_folder_on_the_way_is_a_symbolic_link(tmp_path: Path, linked: str) -> None:
    store, outside = _store(tmp_path)
    link = tmp_path / "store" / STUDY
    if linked == "trial":
        link.mkdir()
        link, outside = link / "1-1", outside / "1-1"
    link.symlink_to(outside)
    with pytest.raises(NotFound):
        store.open(STUDY, 1, 1, "README.md")
    with pytest.raises(NotFound):
        store.begin(STUDY, 1, 1, "README.md")
    store.forget(STUDY)
    kept = tmp_path / "outside" / "1-1" / "README.md"
    assert kept.read_text() == "secret"


def test_a_pipe_in_the_store_holds_nobody_up(tmp_path: Path) -> None:
    store, _ = _store(tmp_path)
    folder = tmp_path / "store" / STUDY / "1-1"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "README.md")
    with pytest.raises(NotFound):
        store.open(STUDY, 1, 1, "README.md")


@pytest.mark.parametrize(
    "path", ["../outside/1-1/README.md", "/etc/passwd", "a/../../outside/1-1/README.md", "a\0b"]
)
def test_nothing_outside_of_a_directory_is_below_it(tmp_path: Path, path: str) -> None:
    _store(tmp_path)
    (tmp_path / "store" / "a").mkdir()
    with pytest.raises(FileNotFoundError):
        open_beneath(tmp_path / "store", PurePath(path))


@pytest.mark.parametrize(
    "name", ["../README.md", "/etc/passwd", "README.md\0", "", ".", "readme.md"]
)
def test_only_names_on_the_list_are_names(tmp_path: Path, name: str) -> None:
    store, _ = _store(tmp_path)
    for use in (store.open, store.begin):
        with pytest.raises(InvalidInput, match="name"):
            use(STUDY, 1, 1, name)


def test_descriptors_are_not_left_open(tmp_path: Path) -> None:
    store, _ = _store(tmp_path)
    folder = tmp_path / "store" / STUDY / "1-1"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text("note")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for name in ("README.md", "adapter_config.json"):
        with contextlib.suppress(NotFound), store.open(STUDY, 1, 1, name) as file:
            assert file.read() == b"note"
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@RECOVERING
def test_a_recovery_is_not_done_before_its_files_are_there(service: Service) -> None:
    _, lease = _in_recovery(service)
    _upload(service, lease, name="README.md")  # a note is no adapter
    answer = service.report(lease, -2.0, upload=False)
    assert answer.status_code == 422
    assert f"no {WEIGHTS} was uploaded" in answer.json()["detail"]
    assert "artifacts" in answer.json()["hint"]
    _upload(service, lease)
    assert service.report(lease, -2.0, upload=False).json() == {"status": "accepted"}


@RECOVERING
def test_a_vector_without_adapters_leaves_a_note(service: Service) -> None:
    _, lease = _in_recovery(service)
    with service.app.state.runtime.database.writing() as session:
        session.get_one(TrialRow, lease["trial_id"]).rank_vector = RankVector((0,) * 12)
    lease["rank_vector"]["ranks"] = [0] * 12
    assert service.report(lease, -2.0, upload=False).status_code == 422
    _upload(service, lease, name="README.md")
    assert service.report(lease, -2.0, upload=False).json() == {"status": "accepted"}


@RECOVERING
def test_a_stale_report_without_files_is_told_that_it_is_stale(service: Service) -> None:
    _, lease = _in_recovery(service)
    service.let_leases_run_out()
    service.sweep()
    assert service.claim("w2")["trial_id"] == lease["trial_id"]
    answer = service.report(lease, -2.0, upload=False)
    assert (answer.status_code, answer.json()["error"]) == (409, "LeaseLost")


def test_what_a_crash_left_of_an_upload_is_swept_away(directory: Path) -> None:
    folder = directory / "artifacts" / "st_aaaaaaaaaa" / "1-1"
    folder.mkdir(parents=True)
    whole, part = folder / WEIGHTS, folder / ".bbbbbbbbbb.part"
    for file in (whole, part):
        file.write_bytes(CONTENT)
    os.utime(part, (0, 0))
    with start(directory).client:
        assert whole.exists()
        assert not part.exists()


@RECOVERING
@ON_BOTH
@pytest.mark.parametrize("moment", ["write", "finish"])
def test_a_study_deleted_during_an_upload_is_not_found(
    service: Service, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    identity, lease = _in_recovery(service)
    real = getattr(Upload, moment)

    def delete_first(upload: Upload, argument: Any) -> None:
        with service.app.state.runtime.database.writing() as session:
            Studies(session).delete(identity)
        service.app.state.runtime.artifacts.forget(identity)
        real(upload, argument)

    monkeypatch.setattr(Upload, moment, delete_first)
    assert _upload(service, lease).status_code == 404
    assert list((service.directory / "artifacts").iterdir()) == []


@RECOVERING
@ON_BOTH
def test_a_study_deleted_right_after_the_upload_leaves_no_file(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity, lease = _in_recovery(service)
    real = Upload.finish

    def delete_after(upload: Upload, sha256: str) -> None:
        real(upload, sha256)
        with service.app.state.runtime.database.writing() as session:
            Studies(session).delete(identity)

    monkeypatch.setattr(Upload, "finish", delete_after)
    assert _upload(service, lease).status_code == 404
    assert list((service.directory / "artifacts").iterdir()) == []


# Claims that came to nothing


def _files(service: Service) -> list[str]:
    found = (service.directory / "artifacts").rglob("*")
    return sorted(path.name for path in found if path.is_file())


@RECOVERING
def test_an_upload_that_ends_after_the_report_replaces_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, lease = _in_recovery(service)
    service.upload(lease, b"good")
    real = Upload.finish

    def report_first(upload: Upload, sha256: str) -> None:
        real(upload, sha256)
        assert service.report(lease, -2.0, upload=False).json() == {"status": "accepted"}

    monkeypatch.setattr(Upload, "finish", report_first)
    late = _upload(service, lease)
    assert (late.status_code, late.json()["error"]) == (409, "LeaseLost")
    path = f"/v1/studies/{study}/export/{WEIGHTS}"
    assert service.client.get(path, headers=service.key("admin")).content == b"good"
    assert _files(service) == [WEIGHTS]


@RECOVERING
@ON_BOTH
def test_an_upload_whose_row_cannot_be_written_replaces_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, lease = _in_recovery(service)
    service.upload(lease, b"good")

    def full(_artifacts: Artifacts, _row: Any) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    with monkeypatch.context() as broken:
        broken.setattr(Artifacts, "store", full)
        assert _upload(service, lease).status_code == 503
    service.report(lease, -2.0, upload=False)
    path = f"/v1/studies/{study}/export/{WEIGHTS}"
    assert service.client.get(path, headers=service.key("admin")).content == b"good"


@RECOVERING
@ON_BOTH
def test_what_a_released_claim_uploaded_goes_with_it(service: Service) -> None:
    study, lease = _in_recovery(service)
    _upload(service, lease)
    path = f"/v1/leases/{lease['trial_id']}/release"
    for _ in range(2):
        assert service.post(path, holding(lease), "worker").status_code == 204
        assert _files(service) == []
    assert _upload(service, lease).status_code == 409
    assert service.report(lease, -2.0, upload=False).status_code == 422  # it has no files any more
    again = service.claim()
    service.report(again, -2.0)
    assert len(service.get(f"/v1/studies/{study}/export")["files"]) == 1


@RECOVERING
def test_what_was_uploaded_with_a_result_on_other_data_goes_with_it(service: Service) -> None:
    _, lease = _in_recovery(service)
    service.upload(lease)
    other = {**measurement(-2.0, lease), "versions": {"data_reading": "2"}}
    assert service.report(lease, -2.0, upload=False, measurement=other).status_code == 409
    assert _files(service) == []


@RECOVERING
@ON_BOTH
def test_what_an_expired_claim_uploaded_goes_when_somebody_else_claims(service: Service) -> None:
    study, lease = _in_recovery(service)
    _upload(service, lease)
    service.let_leases_run_out()
    service.sweep()
    tidy = service.app.state.runtime.artifacts.tidy
    tidy()
    assert _files(service) == [WEIGHTS]  # its report may still come
    other = service.claim("w2")
    tidy()
    assert _files(service) == []
    service.report(other, -2.0, worker="w2")
    tidy()
    assert len(service.get(f"/v1/studies/{study}/export")["files"]) == 1
    assert _files(service) == [WEIGHTS]


@RECOVERING
def test_a_late_report_finds_its_files(service: Service) -> None:
    study, lease = _in_recovery(service)
    _upload(service, lease)
    service.let_leases_run_out()
    service.sweep()
    service.app.state.runtime.artifacts.tidy()
    assert service.report(lease, -2.0, upload=False).json() == {"status": "accepted"}
    assert len(service.get(f"/v1/studies/{study}/export")["files"]) == 1


@RECOVERING
def test_a_restart_clears_away_what_came_to_nothing(directory: Path) -> None:
    with (first := start(directory)).client:
        _, lease = _in_recovery(first)
        _upload(first, lease)
        assert first.report(lease, None).json() == {"status": "accepted"}
        assert _files(first) == [WEIGHTS]
    with (second := start(directory)).client:
        assert _files(second) == []


@RECOVERING
def test_files_of_another_database_are_left_alone(service: Service) -> None:
    """A backup was restored, perhaps by mistake: it knows nothing of later trials and claims."""
    study, lease = _in_recovery(service)
    root, trial = service.directory / "artifacts", lease["trial_id"]
    for folder in (
        f"{study}/{trial}-{lease['token'] + 1}",
        f"{study}/99999-1",
        "st_bbbbbbbbbb/1-1",
    ):
        (root / folder).mkdir(parents=True)
        (root / folder / WEIGHTS).write_bytes(CONTENT)
    service.app.state.runtime.artifacts.tidy()
    assert _files(service) == [WEIGHTS] * 3


@RECOVERING
def test_nothing_behind_a_link_is_cleared_away(service: Service, tmp_path: Path) -> None:
    study, lease = _in_recovery(service)
    outside = tmp_path / "outside" / f"{lease['trial_id']}-{lease['token']}"
    outside.mkdir(parents=True)
    (outside / WEIGHTS).write_bytes(CONTENT)
    (service.directory / "artifacts").mkdir(exist_ok=True)
    (service.directory / "artifacts" / study).symlink_to(outside.parent)
    assert service.report(lease, None).json() == {"status": "accepted"}  # so the claim is over
    service.app.state.runtime.artifacts.tidy()
    assert (outside / WEIGHTS).exists()


@RECOVERING
def test_a_file_cleared_away_while_it_came_takes_no_other_with_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, lease = _in_recovery(service)
    _upload(service, lease)
    real = Upload.finish

    def cleared(upload: Upload, sha256: str) -> None:
        real(upload, sha256)
        upload._part.unlink()

    monkeypatch.setattr(Upload, "finish", cleared)
    late = _upload(service, lease, name="README.md")
    assert (late.status_code, late.json()["hint"]) == (503, "upload the file again")
    assert _files(service) == [WEIGHTS]


def test_who_starts_leaves_alone_what_another_one_receives(directory: Path) -> None:
    """Services on one PostgreSQL share the files; on SQLite there is one service."""
    folder = directory / "artifacts" / STUDY / "1-1"
    folder.mkdir(parents=True)
    fresh, silent = folder / ".aaaaaaaaaa.part", folder / ".bbbbbbbbbb.part"
    for file in (fresh, silent):
        file.write_bytes(CONTENT)
    os.utime(silent, (0, 0))
    with (service := start(directory)).client:
        is_shared = service.app.state.runtime.database.is_shared
    assert (fresh.exists(), silent.exists()) == (is_shared, False)
