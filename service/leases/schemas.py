"""Bodies of the lease routes; ``rankspace.wire`` reads and writes them."""

from dataclasses import dataclass
from typing import Literal

from rankspace import Measurement
from rankspace.capabilities import Capabilities
from rankspace.errors import InvalidInput
from rankspace.trial import Action

MAX_INTEGER = 2**63 - 1
MAX_ERROR = 4000
MAX_INTERIM = 10_000
MAX_PROCESS = 64


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
        if self.error is not None and len(self.error) > MAX_ERROR:
            fix = f"cut it to {MAX_ERROR} characters"
            raise InvalidInput("error", self.error, "is too long", fix=fix)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to a report."""

    status: Literal["accepted", "duplicate"]


def check_worker(name: str) -> None:
    if not 1 <= len(name) <= 200 or not name.isprintable():
        raise InvalidInput("worker", name, "must be 1 to 200 printable characters", fix="rename it")


def check_name(name: str) -> None:
    """Check a name that a worker comes with, which has to fit into an address."""
    check_worker(name)
    if "/" in name:
        raise InvalidInput("worker", name, "has a slash", fix="rename it")


def check_process(process: str) -> None:
    if not 1 <= len(process) <= MAX_PROCESS or not process.isprintable():
        problem = f"must be 1 to {MAX_PROCESS} printable characters"
        raise InvalidInput("process", process, problem, fix="make a random one at each start")


def check_token(token: int) -> None:
    if not 1 <= token <= MAX_INTEGER:
        raise InvalidInput("token", token, "was never given out", fix="send the claim's token")
