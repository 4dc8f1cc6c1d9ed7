"""What a server with many studies takes while nobody asks, and what it then answers in.

    python -m bench.resting [--studies 200] [--trials 500] [--learned]

Active studies of 128 layers whose histories, all alike, were written through the service's own
tables, so that the models of all must be learnt at the start. With ``--learned`` one is, and what a
service keeps of its model for a restart is written for the others as well: a service that learned
while it ran has all of them. ``load`` is the processor time of the server and its child per second
of the wall clock, over ten seconds, in percent of one core; ``idle`` is how long after the start it
first was below five. Then one worker claims and reports without training. ``planned`` is how many
studies have been planned since their histories were written.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from sqlalchemy import ColumnElement, Insert, Table, func, insert, literal, select

from bench.family import processor_seconds, resident_mebibytes, server_on
from bench.latency.rest import UNLIMITED, claim, key_of, send, server, submit, write_history
from rankspace import TrialState
from service.settings import Settings
from service.storage.db import Database
from service.storage.tables import (
    AttemptRow,
    EventRow,
    FitRow,
    ObservationRow,
    TrialRow,
    WatermarkRow,
    table_of,
)

WINDOW = 10.0
IDLE = 5.0
PATIENCE, PATIENCE_PER_STUDY = 600.0, 30.0
SAID_EVERY = 60.0
CLAIMS = 40
COPIED = (TrialRow, AttemptRow, ObservationRow, EventRow, FitRow)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.resting")
    parser.add_argument("--studies", type=int, default=200, help="[200]")
    parser.add_argument("--trials", type=int, default=500, help="of each study, 110 or more [500]")
    parser.add_argument("--learned", action="store_true", help="begin with all but one learned")
    given = parser.parse_args()
    patience = PATIENCE + PATIENCE_PER_STUDY * given.studies
    with tempfile.TemporaryDirectory(prefix="rankadaptor-resting-") as folder:
        home = Path(folder)
        (model,) = _submitted(home, 1, given.trials)
        write_history(home, model, given.trials)
        if given.learned:
            print(f"learning one: {_rest(home, patience, claims=0)}", flush=True)
        others = _submitted(home, given.studies - 1, given.trials)
        _copy(home, model, others)
        for turn in ("first", "again"):
            print(f"{turn}: {_rest(home, patience)}", flush=True)


def _submitted(home: Path, studies: int, trials: int) -> list[str]:
    with server(home, UNLIMITED) as url:
        key = key_of(home, "admin")
        return [submit(url, key, trials + 10 * CLAIMS, "additive") for _ in range(studies)]


def _copy(home: Path, model: str, others: Sequence[str]) -> None:
    """Give ``others`` the finished trials of ``model``, and what was learned of them, if it was."""
    database = Database(Settings(data_directory=home).url())
    for study in others:
        with database.writing() as session:
            offset = int(session.scalars(select(func.max(TrialRow.id))).one())
            for row in COPIED:
                session.execute(_copied(table_of(row), model, study, offset))
    database.close()


def _copied(table: Table, model: str, study: str, offset: int) -> Insert:
    """The statement that copies rows of ``table``, as those of trials with other numbers."""
    done = select(TrialRow.id).where(TrialRow.study_id == model, TrialRow.state == TrialState.DONE)
    number = table.c.get("id" if table is table_of(TrialRow) else "trial_id")
    own = {"id"} if table is table_of(EventRow) else set()
    values: dict[str, ColumnElement[Any]]
    values = {column.name: column for column in table.columns if column.name not in own}
    if number is not None:
        values[number.name] = number + offset
    if "study_id" in values:
        values["study_id"] = literal(study)
    rows = select(*values.values())
    where = table.c.study_id == model if number is None else number.in_(done)
    return insert(table).from_select([*values], rows.where(where))


def _rest(home: Path, patience: float, claims: int = CLAIMS) -> str:
    begin = said = time.monotonic()
    with server(home, UNLIMITED) as url:
        pid = server_on(home)
        loads = [_load(pid)]
        while loads[-1] >= IDLE and time.monotonic() - begin < patience:
            loads.append(_load(pid))
            if time.monotonic() - said >= SAID_EVERY:
                said = time.monotonic()
                print(f"  after {said - begin:.0f} s: planned={_planned(home)}", flush=True)
        idle, memory = time.monotonic() - begin, resident_mebibytes(pid)
        times = _claims(url, key_of(home, "worker"), claims)
    rest = f"idle_s={idle:.0f} load={loads[-1]:.1f}% memory_mib={memory:.0f}"
    if not times:
        return rest
    p50, most = 1e3 * np.percentile(times, [50, 100])
    answers = f"claim_p50_ms={p50:.1f} claim_max_ms={most:.1f}"
    return f"{rest} planned={_planned(home)} {answers}"


def _planned(home: Path) -> int:
    database = Database(Settings(data_directory=home).url())
    with database.reading() as session:
        count = select(func.count()).select_from(WatermarkRow).where(WatermarkRow.results > 0)
        found = session.scalars(count).one()
    database.close()
    return found


def _load(pid: int) -> float:
    before, begin = processor_seconds(pid), time.monotonic()
    time.sleep(WINDOW)
    return 100 * (processor_seconds(pid) - before) / (time.monotonic() - begin)


def _claims(url: str, key: dict[str, str], count: int) -> list[float]:
    times = []
    with httpx.Client(base_url=url, headers=key, timeout=120) as client:
        for _ in range(count):
            seconds, lease = claim(client, "worker-0")
            times.append(seconds)
            send(client, "worker-0", lease)
    return times


if __name__ == "__main__":
    main()
