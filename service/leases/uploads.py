"""Uploads and exports: the store's files and the table's rows, kept together."""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

import structlog
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from rankspace import RankVector
from rankspace.errors import Conflict, InvalidInput, NotFound
from rankspace.lease import WEIGHTS, Holding
from service.access.caller import WorkerIdentity
from service.artifacts.repository import Artifacts
from service.artifacts.store import ArtifactStore, Claimed, Upload, check_name
from service.leases.workflow import check_holder
from service.storage.db import Database
from service.storage.documents import study_of, verdict_of
from service.storage.tables import ArtifactRow, ModelRow, StudyRow, TrialRow
from service.studies.repository import Studies
from service.trials.surveys import order_of

CHUNK = 1 << 20

SILENT_SECONDS = 3600.0
"""After which a file that another service was receiving is that of a service that died."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ArtifactFile:
    """One file of an export, as a listing shows it."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Export:
    """Files of the recovered adapter, and what it is of.

    Attributes:
        files: What there is to download.
        trial: Of whom they are.
        rank_vector: Its ranks.
        model: Fingerprint of the pruned model.
    """

    files: tuple[ArtifactFile, ...]
    trial: int
    rank_vector: RankVector
    model: str


class ArtifactTransfer:
    """Takes files from the holder of a trial and gives out those of a finished study."""

    def __init__(self, database: Database, store: ArtifactStore) -> None:
        self._database = database
        self._store = store

    async def upload(
        self,
        trial: int,
        holding: Holding,
        identity: WorkerIdentity,
        name: str,
        sha256: str,
        body: AsyncIterator[bytes],
    ) -> ArtifactFile:
        """Stream one file in; the lease is checked before, and again when it takes its place.

        Raises:
            NotFound: The study is not of this service, or was deleted meanwhile.
            WrongWorker: The name is not for this ``identity``.
            LeaseLost: ``holding`` is not the current claim.
            InvalidInput: Unknown name, malformed or different hash.
        """
        check_name(name)
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            fix = "send the file's SHA-256 in lower-case hexadecimal"
            raise InvalidInput("X-Content-SHA256", sha256, "is not a SHA-256", fix=fix)
        study = await run_in_threadpool(self._study, trial, holding, identity)
        with self._store.begin(study, trial, holding.token, name) as upload:
            async for chunk in body:
                await run_in_threadpool(upload.write, chunk)
            await run_in_threadpool(upload.finish, sha256)
            stored = ArtifactFile(name, upload.bytes, sha256)
            await run_in_threadpool(self._publish, trial, holding, identity, stored, upload)
        return stored

    def sweep(self) -> None:
        """Clear away uploads that a crash cut off."""
        self._store.sweep(SILENT_SECONDS if self._database.is_shared else 0.0)
        self.tidy()

    def tidy(self) -> None:
        """Delete the files of claims that came to nothing.

        Any number of services may do so at once: what is over stays over.
        """
        claims = list(self._store.claims())
        with self._database.reading() as session:
            over = Artifacts(session).over(claims)
        for claimed in over:
            self._store.discard(claimed)
        if over:
            log.info("files of claims that are over deleted", claims=len(over))

    def discard(self, trial: int, holding: Holding) -> None:
        """Delete the files of a claim that was just released, if there are any."""
        claimed = Claimed(holding.study_id, trial, holding.token)
        with self._database.reading() as session:
            over = Artifacts(session).over([claimed])
        for one in over:
            self._store.discard(one)

    def _study(self, trial: int, holding: Holding, identity: WorkerIdentity) -> str:
        with self._database.reading() as session:
            row = check_holder(session, trial, holding, identity)
            if not row.keep_adapter:
                hint = "only the recovery's adapter is kept"
                raise Conflict(f"trial {trial} keeps no adapter", hint=hint)
            return row.study_id

    def _publish(
        self,
        trial: int,
        holding: Holding,
        identity: WorkerIdentity,
        stored: ArtifactFile,
        upload: Upload,
    ) -> None:
        try:
            with self._database.writing() as session:
                Studies(session).lock(holding.study_id)  # the holder stays the holder
                check_holder(session, trial, holding, identity)
                row = ArtifactRow(trial_id=trial, name=stored.name, token=holding.token)
                row.bytes, row.sha256 = stored.bytes, stored.sha256
                Artifacts(session).store(row)
                session.flush()
                upload.publish()  # last: nothing but the commit may fail after it
        except NotFound:
            self._store.forget(holding.study_id)  # deleted during the upload
            raise

    def export(self, study: str) -> Export:
        """List the study's files, and say of which trial they are.

        Raises:
            Conflict: There is no export yet.
        """
        with self._database.reading() as session:
            rows = _rows(session, study)
            trial = session.get_one(TrialRow, rows[0].trial_id)
            files = tuple(ArtifactFile(row.name, row.bytes, row.sha256) for row in rows)
            of = session.get_one(StudyRow, study).model_id
            model = session.get_one(ModelRow, of).fingerprint
            return Export(files, trial.id, trial.rank_vector, model)

    def read(self, study: str, name: str) -> tuple[ArtifactFile, Iterator[bytes]]:
        """Open one file of the export.

        Raises:
            NotFound: The export has no such file.
        """
        with self._database.reading() as session:
            row = next((row for row in _rows(session, study) if row.name == name), None)
        if row is None:
            raise NotFound(f"the export has no file {name!r}", hint="list the export first")
        chunks = self._chunks(study, row.trial_id, row.token, name)
        return ArtifactFile(row.name, row.bytes, row.sha256), chunks

    def adapter(
        self, trial: int, holding: Holding, identity: WorkerIdentity
    ) -> tuple[ArtifactFile, Iterator[bytes]]:
        """Open the weights of the survey that ``trial`` scores on, for who holds it.

        Raises:
            NotFound: The study is not of this service, or the file is gone.
            WrongWorker: The name is not for this ``identity``.
            LeaseLost: ``holding`` is not the current claim.
            Conflict: The trial trains its own.
        """
        with self._database.reading() as session:
            order = order_of(check_holder(session, trial, holding, identity))
            wanted = order.adapter if order else None
            if wanted is None:
                hint = "train what was assigned"
                raise Conflict(f"trial {trial} scores on no other trial's adapter", hint=hint)
            row = Artifacts(session).weights(wanted.trial)
            if row is None:
                raise NotFound(f"trial {wanted.trial} has no {WEIGHTS}", hint="it was deleted")
            file = ArtifactFile(row.name, row.bytes, row.sha256)
        return file, self._chunks(holding.study_id, row.trial_id, row.token, row.name)

    def _chunks(self, study: str, trial: int, token: int, name: str) -> Iterator[bytes]:
        file = self._store.open(study, trial, token, name)

        def chunks() -> Iterator[bytes]:
            with file:
                while chunk := file.read(CHUNK):
                    yield chunk

        return chunks()

    def forget(self, study: str) -> None:
        self._store.forget(study)


def _rows(session: Session, study: str) -> Sequence[ArtifactRow]:
    head = Studies(session).get(study)
    verdict = verdict_of(head.verdict, head.answer)
    is_paired = study_of(head).verify.at == "recipe"
    rows = Artifacts(session).export(study, verdict, is_paired=is_paired)
    if not rows:
        detail = f"study {study} is {head.state} and has no export"
        raise Conflict(detail, hint="wait until it is done")
    return rows
