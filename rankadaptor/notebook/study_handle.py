"""StudyHandle: one study of a service, as a person holds it in Python."""

from collections.abc import Iterator, Mapping, Sequence
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rankadaptor.adapter_download import Adapter
from rankadaptor.notebook.card import error_card, study_card
from rankadaptor.notebook.frame import trials_frame
from rankadaptor.notebook.rank_picture import RankPicture, rank_picture
from rankadaptor.notebook.standing import Standing, standing
from rankadaptor.notebook.waiting import Tell, until_over
from rankadaptor.rest.client import JSON, RestClient
from rankadaptor.verdict_report import write_report
from rankspace import RankVector, SearchSpace, Verdict
from rankspace.cached import cached_property
from rankspace.errors import Conflict, InvalidInput, RankspaceError
from rankspace.evaluation.recovered import Recovered
from rankspace.redaction import visible
from rankspace.study import Best, Extension, Progress, StudyState

if TYPE_CHECKING:
    import pandas as pd

PAGE = 1000
"""Trials that are asked for at once; the service sends fewer where there are many layers."""


class StudyHandle:
    """Each property asks the service anew, so none is ever out of date.

    What is to be of one moment is taken from ``now()``. A notebook that shows a handle shows the
    study as it was then, and when that was. What commands do to a study is done once, and the
    handle itself returned.
    """

    def __init__(self, rest: RestClient, study_id: str) -> None:
        self._rest = rest
        self.id = study_id

    def __repr__(self) -> str:
        return f"StudyHandle({self.id!r}, {self._rest.url!r})"

    def _repr_html_(self) -> str:
        """Show it; an error too, as a notebook would show its trace and not what it says."""
        try:
            now = self.now()
            return study_card(now, self._picture(now, "") if now.chosen else None)
        except RankspaceError as error:
            return error_card(self.id, error)

    def now(self) -> Standing:
        """Return where the study stands, all of one moment.

        Raises:
            NotFound: There is no such study, or none that the key may see.
            UnsupportedVersion: The service is too old for this client, or too new.
        """
        return standing(self._rest.study(self.id))

    @property
    def name(self) -> str:
        return self.now().name

    @property
    def state(self) -> StudyState:
        return self.now().state

    @property
    def progress(self) -> Mapping[str, Progress]:
        """Trials by purpose: ``survey``, ``search``, ``control``, ``verify``, ``recover``."""
        return self.now().progress

    @property
    def best(self) -> Best | None:
        """The best search result so far; None before there is one."""
        return self.now().best

    @property
    def verdict(self) -> Verdict | None:
        """What the study may claim; None before its verification has ended."""
        return self.now().verdict

    @property
    def recovered(self) -> Recovered:
        """What the recovered models score on the metrics that the study asks for."""
        return self._rest.recovered(self.id)

    @cached_property
    def space(self) -> SearchSpace:
        """The layers and what they may have, which is the same for all of a study's life."""
        return self._rest.space(self.id)

    def wait(self, timeout: float | None = None, *, tell: Tell | None = None) -> Verdict:
        """Return the verdict once the study is done.

        Nothing that ends the waiting, Ctrl-C included, ends the study. A service that restarts is
        waited for, and a study that was paused, too.

        Args:
            timeout: Seconds to wait; None for as long as it takes.
            tell: Called with a line on the study whenever that changes, as ``print``.

        Raises:
            NotOver: It is not over after ``timeout``.
            Conflict: It failed or was cancelled.
            Unreachable: The service has not answered at all, or not for ten minutes.
        """
        now = until_over(self.id, self.now, timeout=timeout, tell=tell)
        if now.state is not StudyState.DONE or now.verdict is None:
            raise _ended(now)
        return now.verdict

    def trials(self) -> Iterator[JSON]:
        """Yield the trials as the service lists them, oldest first, page by page."""
        return self._rest.trials(self.id, limit=PAGE)

    def trials_frame(self) -> "pd.DataFrame":
        """Return a row per trial, by its id, with a column of int32 per layer.

        Raises:
            InvalidInput: There is no pandas here.
        """
        return trials_frame(self.trials(), self.space)

    def plot_ranks(self, rank_vector: RankVector | Sequence[int] | None = None) -> RankPicture:
        """Draw a vector, or else the verdict's winner, or else the best so far.

        Raises:
            Conflict: None was given, and no trial has a score yet.
            InvalidInput: It has another number of ranks than the study has layers.
        """
        if rank_vector is None:
            now = self.now()
            return self._picture(now, f"{now.name}: ")
        given = RankVector(_ranks("rank_vector", rank_vector))
        return rank_picture(self.space, given, "the given ranks by block")

    def download(self, directory: Path | str) -> Adapter:
        """Download the recovered adapter and its verdict, as ``rankadaptor export`` does.

        Raises:
            Conflict: The study has none yet.
            InvalidInput: ``directory`` cannot be written.
        """
        home = Path(directory)
        view, verdict = self._rest.study(self.id), self._rest.verdict(self.id)
        adapter = self._rest.export(self.id, home)
        write_report(home, view, verdict, adapter.rank_vector)
        return adapter

    def pause(self) -> Self:
        self._rest.pause(self.id)
        return self

    def resume(self) -> Self:
        self._rest.resume(self.id)
        return self

    def cancel(self) -> Self:
        self._rest.cancel(self.id)
        return self

    def extend(
        self,
        trials: int = 0,
        *,
        seeds: int | None = None,
        candidates: Sequence[RankVector | Sequence[int]] = (),
        idempotency_key: str | None = None,
    ) -> Self:
        """Go on with a study that is done.

        Args:
            trials: Search trials beside those it had.
            seeds: Fresh seeds of the verification that follows; None for as many as before.
            candidates: Rank vectors of one's own, which are the first of the trials.
            idempotency_key: The same again changes nothing more.

        Raises:
            Conflict: It is not done, or was extended too often.
        """
        own = (_ranks(f"candidates[{i}]", one) for i, one in enumerate(candidates))
        by = Extension(trials, seeds, tuple(own))
        self._rest.extend(self.id, by, idempotency_key=idempotency_key)
        return self

    def _picture(self, now: Standing, of: str) -> RankPicture:
        if now.chosen is None:
            raise Conflict(f"{now.id} has no trial with a score yet", hint="wait for the first")
        vector, what = now.chosen
        return rank_picture(self.space, vector, f"{of}{what}, ranks by block")


def _ranks(field: str, given: RankVector | Sequence[int]) -> tuple[int, ...]:
    """Read a vector of one's own: a row of a table has the whole numbers of numpy."""
    ranks = given.ranks if isinstance(given, RankVector) else tuple(given)
    try:
        return tuple(map(index, ranks))
    except TypeError as error:
        problem, fix = "a rank is no whole number", "write it like [0, 2, 4]"
        raise InvalidInput(field, ranks, problem, fix=fix) from error


def _ended(now: Standing) -> Conflict:
    why = f": {visible(now.error)}" if now.error else ""
    fix = {
        StudyState.FAILED: "mend what its error says, then resume() it and wait again",
        StudyState.CANCELLED: "submit it anew; what it has measured may be its origin",
    }
    return Conflict(f"{now.id} is {now.state}, and not done{why}", hint=fix.get(now.state, ""))
