"""The lease protocol: what workers and the service say to each other; ``rankspace.wire`` codes it.

Strict JSON comes in at the service; a worker reads no more of an answer than it knows, but for the
assignment: a trial it understands half of would measure something else.
"""

import math
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from rankspace.errors import InvalidInput
from rankspace.evaluation.recovery_metric import RecoveryMetric
from rankspace.observation import Measurement
from rankspace.rank_vector import RankVector
from rankspace.recipe import Inputs, Recipe
from rankspace.search_space import Layer
from rankspace.trial import Purpose, Split
from rankspace.wire import LATER

PROTOCOL = 9
"""Version of the lease protocol: 2 has capabilities in claims, 3 the inputs in assignments and
the data's counts in reports, 4 the losses by text where an assignment asks for them, 5 surveys,
6 the formats ``completion`` and ``chat``, and in the data's counts their shape, 7 the metrics of
recovered models, 8 further scores on the adapter of a survey, 9 passes that are left to the
device."""

LEAST_PROTOCOL = 1
"""Oldest version the service still understands, so that workers follow later."""

INPUTS_SINCE = 3
"""First version whose workers read the inputs; those before refuse an assignment with them."""

TEXTS_SINCE = 4
"""First version whose workers can tell the loss by text; those before are not asked."""

SURVEYS_SINCE = 5
"""First version whose workers can run a survey; those before are given none."""

FORMATS_SINCE = 6
"""First version whose workers know every format of data; those before refuse an assignment with
another than ``OLD_FORMATS``, and are given none."""

METRICS_SINCE = 7
"""First version whose workers evaluate what they recovered; those before refuse an assignment with
metrics, and are given no trial of a study that asks for some."""

FURTHER_SINCE = 8
"""First version whose workers score on the adapter of another trial; those before are given none
of that."""

AUTOMATIC_SINCE = 9
"""First version whose workers cut steps as their device has it; those before are told how many
examples a pass has."""

MAX_ARCHITECTURES = 50
MAX_TOKEN = 2**63 - 1
MAX_ERROR = 4000
MAX_INTERIM = 10_000
MAX_PROCESS = 64
MAX_SURVEY_RANKS = 2_000_000
"""Ranks that one order of a survey may spell out, in all its vectors."""

WEIGHTS, CONFIG, NOTE = "adapter_model.safetensors", "adapter_config.json", "README.md"
ADAPTER_FILES = (WEIGHTS, CONFIG, NOTE)
"""What a worker may upload of a trained adapter, in the order it does; names are peft's."""


_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a worker says of itself when it claims, so that trials go where they fit.

    Attributes:
        gpu_memory_gib: Memory of its GPU; 0 without one.
        architectures: Model classes it can load, as in ``config.json``; empty for any.
        resident: Fingerprint of the model that is loaded already; its trials come first.
    """

    gpu_memory_gib: float = 0.0
    architectures: tuple[str, ...] = ()
    resident: str | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.gpu_memory_gib < math.inf:
            problem = "must be 0 or more"
            raise InvalidInput("gpu_memory_gib", self.gpu_memory_gib, problem, fix="count GiB")
        if len(self.architectures) > MAX_ARCHITECTURES:
            count, most = len(self.architectures), f"name at most {MAX_ARCHITECTURES}"
            raise InvalidInput("architectures", count, "are too many", fix=most)


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker asks for a trial, in the protocol version it speaks.

    Workers of protocol 1 do not say what they can run, and get any trial. Who says which
    ``process`` it is, a random text of its own, loses what an earlier one of its name held.
    """

    worker: str
    protocol: int
    capabilities: Capabilities | None = None
    process: str | None = None

    def __post_init__(self) -> None:
        check_name(self.worker)
        if self.process is not None:
            check_process(self.process)


@dataclass(frozen=True, slots=True)
class KeptAdapter:
    """The weights that another trial of the study left with the service.

    Attributes:
        trial: Whose they are.
        sha256: Of the file, in hexadecimal.
        bytes: Its length.
    """

    trial: int
    sha256: str
    bytes: int

    def __post_init__(self) -> None:
        if not _SHA256.fullmatch(self.sha256):
            raise InvalidInput("sha256", self.sha256, "is not a SHA-256", fix="hash the file")


@dataclass(frozen=True, slots=True)
class SurveyOrder:
    """What a worker does in a survey; each vector has one rank per layer of the assignment.

    Attributes:
        pool: Vectors to draw from in the training; none where there is an ``adapter``.
        vectors: What to score afterwards, in this order.
        adapter: What to score on, instead of training anything; None to train.
    """

    pool: tuple[tuple[int, ...], ...]
    vectors: tuple[tuple[int, ...], ...]
    adapter: KeptAdapter | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if not self.vectors:
            raise InvalidInput("vectors", 0, "names no rank vector", fix="give at least one")
        if bool(self.pool) == bool(self.adapter):
            problem = "is what is trained on, or else there is an adapter, and not both"
            raise InvalidInput("pool", len(self.pool), problem, fix="give one of them")
        ranks = sum(map(len, (*self.pool, *self.vectors)))
        if ranks > MAX_SURVEY_RANKS:
            problem = f"are more than {MAX_SURVEY_RANKS:,} ranks"
            raise InvalidInput("vectors", ranks, problem, fix="score fewer vectors")


@dataclass(frozen=True, slots=True)
class Assignment:
    """A lease and all a worker needs to run the trial.

    Attributes:
        trial_id: Identity of the trial.
        token: Fencing token; rises at each claim and travels with every heartbeat and report.
        study_id: Identity of the study.
        study_name: For the log.
        purpose: Why it runs.
        model_path: Directory of the pruned model.
        model_fingerprint: What the directory must hash to.
        recipe: How to fine-tune.
        layers: What the ranks belong to.
        rank_vector: The candidate.
        seed: Seed of initialisation and data order.
        steps: Optimiser steps to take; 0 means the recipe's full epochs.
        epochs: Passes over the training data when ``steps`` is 0.
        split: Held-out half to score on.
        keep_adapter: Whether to upload the trained adapter before reporting.
        lease_seconds: How long the lease lasts without a heartbeat.
        heartbeat_seconds: How often to renew it.
        inputs: What training file and tokenizer must be, as far as anybody has said.
        texts: Whether the loss is wanted by text, too.
        survey: What to train and score instead of the one vector, which is the largest one then;
            None for every other trial.
        metrics: What to evaluate the recovered model on.
    """

    trial_id: int
    token: int
    study_id: str
    study_name: str
    purpose: Purpose
    model_path: str
    model_fingerprint: str
    recipe: Recipe
    layers: tuple[Layer, ...]
    rank_vector: RankVector
    seed: int
    steps: int
    epochs: int
    split: Split
    keep_adapter: bool
    lease_seconds: float
    heartbeat_seconds: float
    inputs: Inputs = field(default_factory=Inputs)
    texts: bool = field(default=False, metadata=LATER)
    survey: SurveyOrder | None = field(default=None, metadata=LATER)
    metrics: tuple[RecoveryMetric, ...] = field(default=(), metadata=LATER)


@dataclass(frozen=True, slots=True)
class Holding:
    """Who holds the trial of which study, by which claim.

    Trials are numbered anew in every database; with the study's identity, a worker that was
    pointed at another service cannot deliver to a stranger's trial.
    """

    worker: str
    token: int
    study_id: str

    def __post_init__(self) -> None:
        check_worker(self.worker)
        check_token(self.token)


@dataclass(frozen=True, slots=True)
class Release(Holding):
    """A trial given back undone; ``reason``: why this worker can run none of its study."""

    reason: str | None = None

    def __post_init__(self) -> None:
        Holding.__post_init__(self)
        check_error("reason", self.reason)


@dataclass(frozen=True, slots=True)
class Heartbeat(Holding):
    """``interim``: pairs of step and loss since the last heartbeat."""

    interim: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        Holding.__post_init__(self)
        if len(self.interim) > MAX_INTERIM:
            raise InvalidInput("interim", len(self.interim), "too many pairs", fix="send fewer")
        for index, pair in enumerate(self.interim):
            if len(pair) != 2:
                raise InvalidInput(
                    f"interim[{index}]", list(pair), "not a pair", fix="[step, loss]"
                )


class Action(StrEnum):
    """The service's answer to a heartbeat."""

    CONTINUE = "continue"
    STOP = "stop"  # report what there is: the trial is hopeless
    CANCEL = "cancel"  # drop it, report nothing
    DRAIN = "drain"  # finish this one, take no more


@dataclass(frozen=True, slots=True)
class HeartbeatAnswer:
    """The answer to a heartbeat."""

    lease_seconds: float
    action: Action


@dataclass(frozen=True, slots=True)
class Report(Holding):
    """A trial's end: ``done`` with its measurement, or ``failed`` with the error."""

    outcome: Literal["done", "failed"]
    measurement: Measurement | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        Holding.__post_init__(self)
        if self.outcome == "done" and self.measurement is None:
            raise InvalidInput("measurement", None, "is missing", fix="send what was measured")
        if self.outcome == "failed" and not self.error:
            raise InvalidInput("error", self.error, "is missing", fix="say why it failed")
        check_error("error", self.error)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a report."""

    status: Literal["accepted", "duplicate"]


def check_worker(name: str) -> None:
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise InvalidInput("worker", name, "must be 1 to 200 printable characters", fix="rename it")


def check_name(name: str) -> None:
    """Check a name that a worker comes with, which has to fit into an address and a file name.

    Browsers and proxies take a backslash for a slash, and dots alone for a folder: that name could
    be asked for by nobody. A dot among other characters, as in ``gpu.0``, stays what it is.
    """
    check_worker(name)
    if "/" in name or "\\" in name:
        raise InvalidInput("worker", name, "has a slash or backslash", fix="rename it")
    if not name.strip("."):
        raise InvalidInput("worker", name, "is nothing but dots", fix="rename it")


def check_error(field: str, text: str | None) -> None:
    if text is not None and len(text) > MAX_ERROR:
        raise InvalidInput(field, text, "is too long", fix=f"cut it to {MAX_ERROR} characters")


def check_process(process: str) -> None:
    if not 1 <= len(process) <= MAX_PROCESS or not process.isprintable():
        problem = f"must be 1 to {MAX_PROCESS} printable characters"
        raise InvalidInput("process", process, problem, fix="make a random one at each start")


def check_token(token: int) -> None:
    if not 1 <= token <= MAX_TOKEN:
        raise InvalidInput("token", token, "was never given out", fix="send the claim's token")
