"""Running a search: equal rates first, no model scored twice, no evaluation too many."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from pruning.progress import OnProgress
from pruning.rates.rates import Rates
from pruning.search.evaluation import Evaluation, Search
from pruning.search.record import Record
from pruning.search.space import Counts, RateSpace, Vector
from rankspace.errors import InvalidInput

Score = Callable[[Rates], float]
"""The mean loss in nats after pruning at these rates; infinite if there is none."""

MOST_REPEATS = 500
"""Proposals in a row that leave what was scored before: the search has run dry."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        best: The first with the least loss; equal rates where nothing is better.
        uniform: Equal rates.
        scored: Evaluations, equal rates among them.
        failed: Those whose pruned model gave no finite loss.
        repeated: Proposals that leave what was scored before, which cost nothing.
        moved: Proposals that remove less than they say and were moved towards equal rates.
        ran_dry: Whether the search ended before its evaluations did.
    """

    best: Evaluation
    uniform: Evaluation
    scored: int
    failed: int
    repeated: int
    moved: int
    ran_dry: bool


@dataclass(slots=True)
class _Book:
    """Answers from what is known, and counts."""

    space: RateSpace
    score: Score
    record: Record
    on_progress: OnProgress | None
    evaluations: int
    known: dict[Counts, Evaluation] = field(default_factory=dict)
    repeated: int = 0
    in_a_row: int = 0
    moved: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.known) >= self.evaluations

    def settled(self, vector: Vector) -> Rates:
        self.moved += not self.space.is_fair(self.space.project(vector))
        return self.space.settle(vector)

    def answer(self, rates: Rates) -> Evaluation:
        """Return what ``rates`` come to: known, recorded in a run before, or scored now."""
        key = self.space.counts(rates)
        if key in self.known:
            self.repeated += 1
            self.in_a_row += 1
            return self.known[key]
        self.in_a_row = 0
        self.known[key] = self._recorded(rates) or self._scored(rates)
        if self.on_progress:
            self.on_progress(len(self.known), self.evaluations)
        return self.known[key]

    def _recorded(self, rates: Rates) -> Evaluation | None:
        place = len(self.known)
        if place >= len(self.record.evaluations):
            return None
        found = self.record.evaluations[place]
        if found.rates != rates:
            problem = f"proposes other rates than this one as evaluation {place + 1}"
            fix = "remove the file to begin anew: another version wrote it, or other replies"
            raise InvalidInput("record", str(self.record.path), problem, fix=fix)
        return found

    def _scored(self, rates: Rates) -> Evaluation:
        loss = self.score(rates)
        evaluation = Evaluation(rates, loss if math.isfinite(loss) else math.inf)
        self.record.add(evaluation)
        return evaluation


def run_search(
    search: Search,
    space: RateSpace,
    score: Score,
    record: Record,
    evaluations: int,
    on_progress: OnProgress | None = None,
) -> Found:
    """Let ``search`` propose until ``evaluations`` are spent, equal rates the first of them.

    What ``record`` holds of an earlier run is not scored again: the search is run from its
    beginning and answered from there, so that it goes on as if nobody had interrupted it.

    Raises:
        InvalidInput: The record is of another search.
    """
    book = _Book(space, score, record, on_progress, evaluations)
    uniform = book.answer(space.uniform)
    ran_dry = not _propose(search, book, uniform)
    known = list(book.known.values())
    return Found(
        min(known, key=lambda one: one.loss),
        uniform,
        len(known),
        sum(math.isinf(one.loss) for one in known),
        book.repeated,
        book.moved,
        ran_dry,
    )


def _propose(search: Search, book: _Book, uniform: Evaluation) -> bool:
    """Ask ``search`` for more until the book is full; tell whether it became so."""
    if book.is_full:
        return True
    proposals = search(book.space, uniform, book.evaluations - 1)
    try:
        vector = next(proposals)
        while not book.is_full and book.in_a_row < MOST_REPEATS:
            answer = book.answer(book.settled(vector))
            if not book.is_full:
                vector = proposals.send(answer)
    except StopIteration:
        return book.is_full
    finally:
        proposals.close()
    return book.is_full
