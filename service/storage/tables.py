"""The tables. Migrations make them; a test holds the two equal.

Times are seconds since 1970 by the database's clock. A trial's rank vector is JSON text.
"""

import json
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from rankspace import RankVector, TrialState
from service.storage.clock import Now
from service.storage.scope import ALL, DEFAULT_PROJECT

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Ranks(TypeDecorator[RankVector]):
    """A rank vector as compact JSON text, so that equal vectors are equal text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: RankVector | None, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value.ranks, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: Dialect) -> RankVector | None:
        return None if value is None else RankVector(tuple(json.loads(value)))


Serial = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite numbers rows by itself only when the column is called INTEGER."""

Document = JSON(none_as_null=True)


class Base(DeclarativeBase):
    """Of every table; constraints have names that migrations can rely on."""

    metadata = MetaData(naming_convention=NAMING)


def table_of(row: type[Base]) -> Table:
    """The table itself, for statements that are run often: those on a class take twice as long."""
    assert isinstance(row.__table__, Table)
    return row.__table__


def _study(**options: Any) -> Mapped[Any]:
    return mapped_column(ForeignKey("studies.id", ondelete="CASCADE"), **options)


def _trial(**options: Any) -> Mapped[Any]:
    return mapped_column(Serial, ForeignKey("trials.id", ondelete="CASCADE"), **options)


def _project() -> Mapped[Any]:
    """Whose it is; see ``service.storage.scope``."""
    return mapped_column(String(63), insert_default=DEFAULT_PROJECT)


class ModelRow(Base):
    """A registered pruned model, by its description; the weights stay where they are."""

    __tablename__ = "models"
    __table_args__ = (UniqueConstraint("project", "fingerprint"),)

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    project: Mapped[str] = _project()
    fingerprint: Mapped[str] = mapped_column(String(128))
    path: Mapped[str] = mapped_column(Text, index=True)
    document: Mapped[str] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Double, insert_default=Now())


class StudyRow(Base):
    """A study and its stage.

    ``stage`` is how far it has come and ``state`` what is shown: the same, unless the study is
    paused, cancelled or failed. ``retries`` counts how often a failed one was resumed. ``request``
    is all that was submitted; services of before schema 0012 store none. Neither it nor ``space``
    and ``model_path`` ever change after submission; no more do ``context``, ``belief``, what the
    prior said then, and ``earlier``, the results it began with, of the study ``origin``, which may
    be gone. These are read when its results are opened. ``looks_before`` counts the answers that
    were seen of those results before its own first one. Each of ``extensions`` changed
    ``document``, and so does the first result that states the inputs if nobody did before: it is
    the study in the form that services of before read (``older_form``), and of it only what can
    change is read. ``submitted``, which only they read, is what it was before the first extension,
    and ``checked`` what the verifications before the last one found. ``controls`` is what its
    verification runs beside the ``arms``; one of before has none. ``answer`` is all of the
    ``verdict``, which says what a service of the version before can read of it. ``counts`` is what
    the data came to, as the first worker says that says so. ``note`` is what a person should know
    of how it was searched. A worker must have ``gpu_memory_gib`` and know ``architecture``, empty
    in studies of before; one with a GPU must have ``gpu_need_gib``, which was derived for a study
    that does not state the other, and is 0 elsewhere. ``base_dtype`` is the type of the base
    weights of all its trials, empty until the first claim where the recipe leaves it to the device.
    """

    __tablename__ = "studies"
    __table_args__ = (UniqueConstraint("project", "idempotency_key"),)

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    project: Mapped[str] = _project()
    model_id: Mapped[str] = mapped_column(ForeignKey("models.id"))
    model_path: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    request: Mapped[str | None] = mapped_column(Text)
    document: Mapped[str] = mapped_column(Text)
    space: Mapped[str] = mapped_column(Text)
    context: Mapped[str | None] = mapped_column(Text, deferred=True)
    belief: Mapped[str | None] = mapped_column(Text, deferred=True)
    origin: Mapped[str | None] = mapped_column(String(20))
    earlier: Mapped[str | None] = mapped_column(Text, deferred=True)
    submitted: Mapped[str | None] = mapped_column(Text, deferred=True)
    extensions: Mapped[Any | None] = mapped_column(Document)
    looks_before: Mapped[int] = mapped_column(server_default="0")
    checked: Mapped[Any | None] = mapped_column(Document, deferred=True)
    counts: Mapped[Any | None] = mapped_column(Document)
    gpu_memory_gib: Mapped[float] = mapped_column(Double, server_default="0")
    gpu_need_gib: Mapped[float] = mapped_column(Double, server_default="0")
    architecture: Mapped[str] = mapped_column(String(100), server_default="")
    base_dtype: Mapped[str | None] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20), index=True)
    stage: Mapped[str] = mapped_column(String(20))
    error: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    retries: Mapped[int] = mapped_column(insert_default=0)
    arms: Mapped[Any | None] = mapped_column(Document)
    controls: Mapped[Any | None] = mapped_column(Document)
    verdict: Mapped[Any | None] = mapped_column(Document)
    answer: Mapped[Any | None] = mapped_column(Document)
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[float] = mapped_column(Double, insert_default=Now())


class TrialRow(Base):
    """A trial; ``proposed`` says that the performance model made it.

    ``noise`` is what the model took a trial's noise for when it predicted ``mean`` and ``std``.
    ``rate`` is a factor on the recipe's learning rate.
    ``survey`` is what a survey trains on and scores, empty for every other trial.
    """

    __tablename__ = "trials"
    __table_args__ = (
        Index(None, "state", "priority", "id"),
        Index(None, "study_id", "state"),
        Index(None, "worker", "state"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    study_id: Mapped[str] = _study()
    purpose: Mapped[str] = mapped_column(String(20))
    proposed: Mapped[bool]
    rank_vector: Mapped[RankVector] = mapped_column(Ranks)
    seed: Mapped[int] = mapped_column(BigInteger)
    steps: Mapped[int]
    epochs: Mapped[int]
    split: Mapped[str] = mapped_column(String(20))
    keep_adapter: Mapped[bool]
    priority: Mapped[int] = mapped_column(insert_default=0)
    mean: Mapped[float | None] = mapped_column(Double)
    std: Mapped[float | None] = mapped_column(Double)
    noise: Mapped[float | None] = mapped_column(Double)
    rate: Mapped[float] = mapped_column(Double, server_default="1", insert_default=1.0)
    reason: Mapped[str] = mapped_column(Text, insert_default="")
    state: Mapped[str] = mapped_column(String(20))
    token: Mapped[int] = mapped_column(BigInteger, insert_default=0)
    worker: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[float | None] = mapped_column(Double)
    expiries: Mapped[int] = mapped_column(insert_default=0)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[float] = mapped_column(Double, insert_default=Now())
    finished_at: Mapped[float | None] = mapped_column(Double)
    survey: Mapped[Any | None] = mapped_column(Document, deferred=True)

    @hybrid_property
    def is_offer(self) -> bool:
        """Made by the model and never claimed, so it may still be made anew; for SQL as well."""
        return self.proposed & (self.token == 0) & (self.state == TrialState.QUEUED.value)


class AttemptRow(Base):
    """One claim of a trial; ``outcome`` is empty while it runs.

    ``process`` is the one that claimed it, empty for workers that do not say.
    """

    __tablename__ = "attempts"

    trial_id: Mapped[int] = _trial(primary_key=True)
    token: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    worker: Mapped[str] = mapped_column(String(200), index=True)
    process: Mapped[str | None] = mapped_column(String(64))
    started_at: Mapped[float] = mapped_column(Double, insert_default=Now())
    ended_at: Mapped[float | None] = mapped_column(Double)
    seconds: Mapped[float | None] = mapped_column(Double)
    outcome: Mapped[str | None] = mapped_column(String(20))
    error: Mapped[str | None] = mapped_column(Text)
    interim: Mapped[Any | None] = mapped_column(Document)


class ObservationRow(Base):
    """A trial's one result. ``sequence`` is the order of acceptance within the study.

    ``texts`` is the loss by held-out text, of those trials that were asked for it.
    """

    __tablename__ = "observations"
    __table_args__ = (UniqueConstraint("study_id", "sequence"),)

    trial_id: Mapped[int] = _trial(primary_key=True)
    study_id: Mapped[str] = _study()
    sequence: Mapped[int]
    token: Mapped[int] = mapped_column(BigInteger)
    score: Mapped[float | None] = mapped_column(Double)
    measurement: Mapped[Any | None] = mapped_column(Document)
    texts: Mapped[Any | None] = mapped_column(Document)
    created_at: Mapped[float] = mapped_column(Double, insert_default=Now())


class EventRow(Base):
    """Append-only history: feeds the audit, the replay and the status page."""

    __tablename__ = "events"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    study_id: Mapped[str] = _study(index=True)
    trial_id: Mapped[int | None] = mapped_column(Serial)
    kind: Mapped[str] = mapped_column(String(40))
    content: Mapped[Any] = mapped_column(Document)
    created_at: Mapped[float] = mapped_column(Double, insert_default=Now())


class WatermarkRow(Base):
    """How many finished search trials the study's offers rest on."""

    __tablename__ = "watermarks"

    study_id: Mapped[str] = _study(primary_key=True)
    results: Mapped[int]


class ArtifactRow(Base):
    """A file a worker uploaded; the bytes lie in the data directory."""

    __tablename__ = "artifacts"

    trial_id: Mapped[int] = _trial(primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    token: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[float] = mapped_column(Double, insert_default=Now())


class WorkerRow(Base):
    """A worker, by the name it gives itself.

    ``project`` is that of the keys it came with, ``*`` once there were several. ``struck_at`` is
    when it reported the first failure since its last good result, ``refusals`` counts the
    implausible reports since. A worker with a ``quarantined_at`` gets no trial. ``protocol`` is the
    version it last spoke, ``gpu_memory_gib`` what it last said of its GPU, 0 without one and empty
    where it does not say.
    """

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    first_seen: Mapped[float] = mapped_column(Double, insert_default=Now())
    last_seen: Mapped[float] = mapped_column(Double, insert_default=Now())
    project: Mapped[str] = mapped_column(String(63), server_default=ALL)
    struck_at: Mapped[float | None] = mapped_column(Double)
    refusals: Mapped[int] = mapped_column(server_default="0")
    quarantined_at: Mapped[float | None] = mapped_column(Double)
    quarantine_reason: Mapped[str | None] = mapped_column(Text)
    protocol: Mapped[int] = mapped_column(server_default="1")
    gpu_memory_gib: Mapped[float | None] = mapped_column(Double)


class BarRow(Base):
    """Why ``worker`` gets no trials of a study ``until`` then, and how often it has tried."""

    __tablename__ = "bars"

    study_id: Mapped[str] = _study(primary_key=True)
    worker: Mapped[str] = mapped_column(String(200), primary_key=True)
    tries: Mapped[int] = mapped_column(server_default="0")
    reason: Mapped[str] = mapped_column(Text)
    until: Mapped[float] = mapped_column(Double)


class FitRow(Base):
    """What the model of a long study had learned lately, derived from its results."""

    __tablename__ = "fits"

    study_id: Mapped[str] = _study(primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class AttendanceRow(Base):
    """One row: when somebody last looked after the leases; all tokens to come are above ``fence``.

    A restored backup knows nothing of the claims made after it, whose tokens would come again.
    """

    __tablename__ = "pulse"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[float] = mapped_column(Double)
    fence: Mapped[int] = mapped_column(BigInteger, insert_default=0)


class KeyRow(Base):
    """An API key: the secret itself is stored nowhere. ``project`` may be ``*``: of all.

    One with a ``worker`` speaks for the worker of that name only.
    """

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(10))
    name: Mapped[str] = mapped_column(String(100))
    project: Mapped[str] = _project()
    created_at: Mapped[float] = mapped_column(Double, insert_default=Now())
    expires_at: Mapped[float | None] = mapped_column(Double)
    last_used_at: Mapped[float | None] = mapped_column(Double)
    revoked_at: Mapped[float | None] = mapped_column(Double)
    worker: Mapped[str | None] = mapped_column(String(200), index=True)


class JoinTokenRow(Base):
    """What a worker exchanges for a key of its own; the secret itself is stored nowhere."""

    __tablename__ = "join_tokens"

    id: Mapped[str] = mapped_column(String(8), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(100))
    project: Mapped[str] = mapped_column(String(63))
    uses_left: Mapped[int]
    created_at: Mapped[float] = mapped_column(Double, insert_default=Now())
    expires_at: Mapped[float] = mapped_column(Double)
    revoked_at: Mapped[float | None] = mapped_column(Double)


class LoginCodeRow(Base):
    """A one-time code that opens a browser session, as a digest."""

    __tablename__ = "login_codes"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"))
    expires_at: Mapped[float] = mapped_column(Double)


class LoginSessionRow(Base):
    """A browser session that a code opened, as a digest."""

    __tablename__ = "login_sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"))
    expires_at: Mapped[float] = mapped_column(Double)


class AuditRow(Base):
    """Append-only: what people did to this service, and who. No body, no secret."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "project", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    key_id: Mapped[str] = mapped_column(String(8))
    role: Mapped[str] = mapped_column(String(10))
    project: Mapped[str] = mapped_column(String(63))
    method: Mapped[str] = mapped_column(String(10))
    route: Mapped[str] = mapped_column(String(100))
    object: Mapped[str] = mapped_column(String(100))
    status: Mapped[int]
    created_at: Mapped[float] = mapped_column(Double, insert_default=Now())
