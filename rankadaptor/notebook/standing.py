"""Standing: where a study stood when the service was asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rankadaptor.following import STAGES
from rankadaptor.study_view import time_left
from rankspace import RankVector, Verdict
from rankspace.errors import InvalidInput, UnsupportedVersion
from rankspace.redaction import visible
from rankspace.study import ACTIVE, OVER, Best, Progress, StudyState
from rankspace.wire import decode, only


@dataclass(frozen=True, slots=True)
class Standing:
    """All of one moment; the properties of a ``StudyHandle`` are each of their own.

    What has a default, services of before do not say.

    Attributes:
        id: Of the study.
        name: As a person gave it.
        state: Where it is.
        stage: How far it came, where it is paused, failed or cancelled.
        error: Why it failed or paused by itself.
        progress: Trials by purpose: ``survey``, ``search``, ``control``, ``verify``, ``recover``.
        best: The best search result; None before there is one.
        uniform_score: What uniform ranks scored in the search; None before.
        verdict: What it may claim; None before its verification has ended.
        workers_active: Workers that the service has heard of lately, of all studies.
        eta_seconds: Time left in all, where that can be told.
        study: As it was submitted, in JSON.
        note: What its service has to say of it.
        before_recovery_seconds: Time left before the recovery, where that can be told.
        extensions: How often it was extended.
        barred: Workers that could not run its trials, with ``worker`` and ``reason``.
        unfit: Why no active worker gets its trials; None if one does.
    """

    id: str
    name: str
    state: StudyState
    stage: StudyState
    error: str | None
    progress: Mapping[str, Progress]
    best: Best | None
    uniform_score: float | None
    verdict: Verdict | None
    workers_active: int
    eta_seconds: float | None
    study: Mapping[str, Any]
    note: str | None = None
    before_recovery_seconds: float | None = None
    extensions: int = 0
    barred: tuple[Mapping[str, Any], ...] = ()
    unfit: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs or waits."""
        return self.state in OVER

    @property
    def awaited(self) -> str:
        """Why the whole recipe is not judged that the study asks for; empty if nothing lacks."""
        if self.verdict is None:
            return ""
        at = self.study.get("verify", {}).get("at", "trial")
        return self.verdict.awaited(at, is_over=self.is_over)

    @property
    def is_of_before(self) -> bool:
        """Whether the verdict is an earlier one of a study that was extended and goes on."""
        given = self.verdict.extensions if self.verdict else self.extensions
        return not self.is_over and self.extensions > given

    @property
    def chosen(self) -> tuple[RankVector, str] | None:
        """The vector to look at, and what it is: the verdict's winner, else the best so far."""
        if self.verdict is not None:
            return self.verdict.best_rank_vector, "the winner"
        if self.best is not None:
            return RankVector(self.best.rank_vector), f"the best so far, trial {self.best.trial}"
        return None

    @property
    def line(self) -> str:
        """The state, the trials of its stage, the best and the time left, in one line.

        What others wrote in it steers no terminal that it is printed to.
        """
        said = filter(None, (self._counted, self._best, self.remark, self._left))
        return visible(", ".join(said))

    @property
    def remark(self) -> str:
        """What keeps it from going on; empty if nothing does."""
        if self.state is StudyState.PAUSED:
            return self.error or "paused: resume() goes on"
        if self.state is StudyState.FAILED:
            return self.error or "failed"
        if self.state not in ACTIVE:
            return ""
        if self.barred:
            reasons = (f"{one.get('worker')}: {one.get('reason')}" for one in self.barred)
            return f"cannot run its trials: {'; '.join(reasons)}"
        if not self.workers_active:
            return "no active worker"
        return f"no active worker gets its trials: {self.unfit}" if self.unfit else ""

    @property
    def _counted(self) -> str:
        count = self.progress.get(STAGES.get(self.state, ""))
        if count is None:
            return self.state.value
        return f"{self.state.value}: {count.over:,} of {count.planned:,} trials"

    @property
    def _best(self) -> str:
        return f"best {self.best.score:.4f}" if self.best else ""

    @property
    def _left(self) -> str:
        if left := time_left(self.eta_seconds):
            return f"{left} left in all"
        left = time_left(self.before_recovery_seconds)
        return f"{left} left before the recovery" if left else ""


def standing(view: Mapping[str, Any]) -> Standing:
    """Read what the service says of a study; a newer one may say more, one before less.

    Raises:
        UnsupportedVersion: It says something else.
    """
    try:
        return decode(Standing, _known(view), "study")
    except InvalidInput as error:
        raise UnsupportedVersion(
            f"the service says of a study what this client cannot read: {error.detail}",
            hint="install the version of rankadaptor that the service has",
        ) from error


def _known(view: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what this client does not know, within the groups too."""
    known = dict(only(Standing, view))
    for name, kind in (("best", Best), ("verdict", Verdict)):
        if name in known:
            known[name] = only(kind, known[name])
    if isinstance(counts := known.get("progress"), Mapping):
        known["progress"] = {purpose: only(Progress, one) for purpose, one in counts.items()}
    return known
