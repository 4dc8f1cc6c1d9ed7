"""What a run left behind, and what must be true of it. Pure: a list of facts in, violations out."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the service's own history."""

    trial: int
    kind: str
    token: int | None
    at: float
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """A row of results: what a trial counts as."""

    trial: int
    study: str
    sequence: int
    token: int
    score: float | None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a worker was told had arrived."""

    trial: int
    token: int
    score: float


@dataclass(frozen=True, slots=True)
class History:
    """Everything the check looks at.

    Attributes:
        states: Of every trial at the end.
        events: Of all trials, in the order of the log.
        counted: The results.
        acknowledged: Reports that workers were told had been accepted.
        mismatches: Proposals that differ from a replay, and studies whose model knows another
            number of results than there are, or whose survey scored too much.
        unfinished: Studies that did not come to their end.
        refills: Seconds until the board in Redis was right again after it was wiped.
        lease_seconds: Nobody loses a trial sooner after the claim, unless an event says why.
    """

    states: Mapping[int, str]
    events: Sequence[Event]
    counted: Sequence[Counted]
    acknowledged: Iterable[Acknowledged]
    mismatches: int = 0
    unfinished: Sequence[str] = ()
    refills: Sequence[float] = ()
    lease_seconds: float = 0.0


@dataclass(slots=True)
class Findings:
    """Violations by kind, each with a line for a person."""

    lost: list[str] = field(default_factory=list)
    double: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    model: list[str] = field(default_factory=list)
    slow: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        return [*self.lost, *self.double, *self.stale, *self.order, *self.model, *self.slow]


OVER = frozenset({"done", "failed", "dead"})
ENDS = OVER | {"cancelled"}
LOSSES = frozenset({"expired", "released", *OVER})
"""Events that end a claim and name its token."""

CLOCK_STEP_SECONDS = 3600
"""By how much clocks are set; no run lasts half as long."""

REFILL_SECONDS = 5.0
SLACK_SECONDS = 1.0
"""A claim is written down a moment after its lease began: as long as its transaction takes."""


def check(history: History) -> Findings:
    """Look for every way in which a trial could be lost, counted twice or counted wrongly."""
    findings = Findings()
    counted = defaultdict(list)
    for row in history.counted:
        counted[row.trial].append(row)
    events = defaultdict(list)
    for event in history.events:
        events[event.trial].append(event)
    for trial in sorted({*history.states, *events, *counted}):
        state = history.states.get(trial, "gone")
        _check_trial(trial, state, events[trial], counted[trial], findings)
        _Order(trial, history.lease_seconds, findings).check(events[trial])
    _check_places(history.counted, findings)
    _check_acknowledged(history.acknowledged, counted, findings)
    _check_rest(history, findings)
    return findings


def _check_trial(
    trial: int,
    state: str,
    events: Sequence[Event],
    counted: Sequence[Counted],
    findings: Findings,
) -> None:
    ends = [event for event in events if event.kind in OVER]
    if state not in ENDS:
        findings.lost.append(f"trial {trial} is {state}")
    if len(ends) > 1 or len(counted) > 1:
        findings.double.append(f"trial {trial} ended {len(ends)} times, counts {len(counted)}")
    if state == "cancelled" and counted:
        findings.stale.append(f"trial {trial} is cancelled and counts")
    if state in OVER and not (ends and counted):
        findings.lost.append(f"trial {trial} is {state} and counts for nothing")
    claims = [event.token for event in events if event.kind == "claimed" and event.token]
    for row in counted:
        if not claims or row.token != max(claims):
            findings.stale.append(f"trial {trial} counts token {row.token}, claimed {claims}")


@dataclass
class _Order:
    """Tokens rise, and nobody gets a trial before the holder before lost it."""

    trial: int
    lease_seconds: float
    findings: Findings
    holder: Event | None = None
    last: int = 0

    def check(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.kind == "claimed":
                self._claimed(event)
            elif event.kind in LOSSES:
                self._lost(event)
            elif event.kind == "cancelled":
                self.holder = None

    def _claimed(self, event: Event) -> None:
        if self.holder is not None:
            self._find(f"was handed out while {self.holder.token} held it")
        if event.token is None or event.token <= self.last:
            self._find(f"token {event.token} after {self.last}")
        self.holder, self.last = event, event.token or 0

    def _lost(self, event: Event) -> None:
        if event.token != self.last and event.kind != "dead":
            self._find(f"{event.kind} with token {event.token}, the last claim's is {self.last}")
        if event.kind == "expired" and event.cause is None and self.holder is not None:
            held = _by_a_steady_clock(event.at - self.holder.at)
            if held < self.lease_seconds - SLACK_SECONDS:
                self._find(f"was taken from {event.token} {held:.1f} s after the claim")
        self.holder = None

    def _find(self, problem: str) -> None:
        self.findings.order.append(f"trial {self.trial}: {problem}")


def _by_a_steady_clock(seconds: float) -> float:
    """How long it was between two readings of a clock that may have been set meanwhile."""
    half = CLOCK_STEP_SECONDS / 2
    return (seconds + half) % CLOCK_STEP_SECONDS - half


def _check_places(counted: Sequence[Counted], findings: Findings) -> None:
    """Results of a study are numbered without a gap."""
    places = defaultdict(list)
    for row in counted:
        places[row.study].append(row.sequence)
    for study, found in places.items():
        if sorted(found) != list(range(1, len(found) + 1)):
            findings.double.append(f"study {study}: results are numbered {sorted(found)[:20]}…")


def _check_acknowledged(
    acknowledged: Iterable[Acknowledged],
    counted: Mapping[int, Sequence[Counted]],
    findings: Findings,
) -> None:
    """What a worker was told is there is there, as it was sent."""
    for told in acknowledged:
        rows = counted.get(told.trial, ())
        if not any(row.token == told.token and row.score == told.score for row in rows):
            findings.lost.append(f"trial {told.trial}, token {told.token}: accepted, and gone")


def _check_rest(history: History, findings: Findings) -> None:
    findings.lost.extend(f"study {study} did not end" for study in history.unfinished)
    if history.mismatches:
        findings.model.append(f"{history.mismatches} proposals differ from a replay")
    slow = [seconds for seconds in history.refills if seconds > REFILL_SECONDS]
    findings.slow.extend(f"the board was wrong for {seconds:.1f} s" for seconds in slow)
