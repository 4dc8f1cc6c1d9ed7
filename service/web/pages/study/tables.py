"""The numbers behind the pictures as CSV, read and written some at a time."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from tempfile import SpooledTemporaryFile
from types import MappingProxyType
from typing import IO, Any, TypeAlias

from sqlalchemy.orm import Session

from rankspace.errors import NotFound
from service.runtime import Runtime
from service.storage.documents import space_of, verdict_of
from service.storage.scope import Scope
from service.storage.tables import StudyRow
from service.studies.repository import Studies
from service.studies.tally import tallies
from service.trials.listing import Wanted, listed, search_history, spent_on
from service.web.pages.charts.spending import MEASURES
from service.web.pages.study.ranks import leading, profiles_of

Rows: TypeAlias = Iterable[Sequence[Any]]

PART = 200
"""Trials read at a time: with their vectors some hundred kilobytes."""

CHUNK, IN_MEMORY = 1 << 16, 1 << 20
"""Bytes."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With what a text begins that a spreadsheet would take for a formula."""


def _curve(session: Session, row: StudyRow) -> Iterator[Sequence[Any]]:
    yield "trial", "score", "best", "worker_hours"
    best, hours = float("-inf"), 0.0
    for trial, score, seconds in search_history(session, row.id):
        best, hours = max(best, score), hours + seconds / 3600.0
        yield trial, score, best, round(hours, 6)


def _trials(session: Session, row: StudyRow) -> Iterator[Sequence[Any]]:
    yield "trial", "purpose", "state", "score", "expected", "seed", "worker", "seconds", "ranks"
    offset, wanted = 0, Wanted(order="oldest")
    while found := listed(session, row.id, wanted, offset, PART):
        for one in found:
            trial, attempt = one.row, one.attempt
            yield (
                *(trial.id, trial.purpose, one.state, one.result.score if one.result else None),
                *(trial.mean, trial.seed, attempt.worker if attempt else None),
                *(
                    attempt.seconds if attempt else None,
                    " ".join(map(str, trial.rank_vector.ranks)),
                ),
            )
        session.expunge_all()
        offset += len(found)


def _layers(session: Session, row: StudyRow) -> Iterator[Sequence[Any]]:
    """Every layer: its place, its price, what pruning did to it, and the rank the winner has."""
    yield "layer", "block", "kind", "parameters_per_rank", "rank", *MEASURES
    space = space_of(row.space)
    profiles = profiles_of(session, row, space)
    verdict = verdict_of(row.verdict, row.answer)
    ahead = leading(verdict, tallies(session, [row.id])[row.id].best)
    ranks = ahead[0].ranks if ahead else [None] * len(space.layers)
    for at, layer in enumerate(space.layers):
        told = [measure.of(profiles[at]) if profiles else None for measure in MEASURES.values()]
        place = layer.name, layer.block, layer.module, layer.parameters_per_rank
        yield *place, ranks[at], *told


def _costs(session: Session, row: StudyRow) -> Iterator[Sequence[Any]]:
    yield "purpose", "outcome", "attempts", "seconds"
    for one in spent_on(session, row.id):
        yield one.purpose, one.outcome, one.attempts, one.seconds


TABLES: Mapping[str, Callable[[Session, StudyRow], Iterator[Sequence[Any]]]] = MappingProxyType(
    {"curve": _curve, "trials": _trials, "layers": _layers, "costs": _costs}
)


def table_file(runtime: Runtime, scope: Scope, study: str, table: str) -> Iterator[bytes]:
    """Write a table; of a long one to the disk, so that no slow reader holds the database open.

    Raises:
        NotFound: There is no such study in ``scope``, or no such table.
    """
    with runtime.database.reading() as session:
        row = Studies(session).get(study, scope)
        if table not in TABLES:
            raise NotFound(f"there is no table {table!r}", hint=f"ask for one of {[*TABLES]}")
        file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  # read after this returns
        for part in written(TABLES[table](session, row)):
            file.write(part.encode())
    file.seek(0)
    return _sent(file)


def _sent(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


def written(rows: Rows) -> Iterator[str]:
    """Rows as lines of CSV (RFC 4180)."""
    text = io.StringIO()
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([_plain(cell) for cell in row])
        if text.tell() > 1 << 16:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _plain(cell: Any) -> Any:
    """Text that no spreadsheet takes for a formula: names are whatever somebody gave."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell
