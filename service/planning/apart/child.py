"""What the planning process runs: a StudyPlanner that answers on lines until its parent is gone.

``python -m service.planning.apart LIFE LINE...``, descriptors of sockets; ``Life`` alone
starts it. Settings come over the first, so that no secret stands in a list of processes.
"""

import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import structlog

from rankspace.errors import RankspaceError
from service.allocation import give_back, use_few_arenas
from service.planning.apart.life import DONE, RAISED, TOLD
from service.planning.apart.process import Looking
from service.planning.listener import Listener
from service.planning.planner import StudyPlanner
from service.settings import Settings
from service.storage.db import Database
from service.telemetry import logs

log = structlog.get_logger(__name__)

TIDY_SECONDS = 30.0
"""How often memory that is free is given back to the system."""

CONNECTIONS = 8
"""To the database; each study that is planned takes up to three, each look one."""

NICE = 5
"""Where processors are short, heartbeats of other people's workers go before planning: it has a
third of what another process has, of a processor that both want."""

SWITCH_SECONDS = 0.0005
"""After so long a study that computes lets another one compute. One whose arrays are small gives
the interpreter up a thousand times in a plan, and waited Python's usual 5 ms for it each time."""

FIRST = "1000"
"""Where memory runs out, this process is to end and not the one that keeps the leases."""


class _Lines:
    """The line that each thread answers on, for what has to be told meanwhile."""

    def __init__(self) -> None:
        self._own = threading.local()

    def serve(self, line: Connection, calls: Mapping[str, Callable[..., Any]]) -> None:
        """Answer one question after another, until the parent has gone."""
        self._own.line = line
        while True:
            name, *asked = line.recv()
            line.send_bytes(_answer(calls[name], asked))

    def tell(self, what: str, *content: Any) -> None:
        """If nobody hears it, nobody may take that for a study that cannot go on either."""
        _to_the_end(partial(self._own.line.send, (TOLD, what, *content)))


def _answer(call: Callable[..., Any], asked: list[Any]) -> bytes:
    """As it goes over the line: what was made, or what was raised, with its trace."""
    try:
        return pickle.dumps((DONE, call(*asked)))
    except Exception as error:  # noqa: BLE001  # the parent deals with it
        return pickle.dumps((RAISED, _portable(error)))


def _portable(error: Exception) -> Exception:
    """The error, or one that says as much where it could not be made anew from its parts."""
    if not isinstance(error, RankspaceError):
        error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  # some libraries' errors
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _to_the_end(work: Callable[[], Any]) -> None:
    """Do it; the process ends with its parent, and with a thread that is lost."""
    try:
        work()
    except (EOFError, OSError):  # the other end is closed: nobody needs the rest
        os._exit(0)
    except BaseException as error:
        log.critical("a thread of the planning process is lost", exc_info=error)
        os._exit(1)


def _serve(life: Connection, ends: list[Connection]) -> None:
    settings: Settings
    looking: Looking
    settings, looking = life.recv()
    logs.configure(settings, "planning")
    use_few_arenas()
    os.nice(NICE)
    sys.setswitchinterval(SWITCH_SECONDS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST, encoding="ascii")
    lines = _Lines()
    listener = Listener(*(partial(lines.tell, field.name) for field in fields(Listener)))
    database = Database(settings.url(), connections=CONNECTIONS, spare=0)
    database.watch_damage(listener.damaged)
    planner = StudyPlanner(
        database, settings.active_worker_seconds, settings.planning_mebibytes << 20, listener
    )
    calls: dict[str, Callable[..., Any]] = {
        "advance": planner.advance,
        "warm": planner.warm,
        "look": looking(database, planner.known, listener.postponed),
    }
    life.send("ready")
    for end in ends:
        work = partial(lines.serve, end, calls)
        threading.Thread(target=_to_the_end, args=(work,), daemon=True).start()
    while not life.poll(TIDY_SECONDS):
        give_back()
    life.recv()  # nothing is ever sent: it is closed


def main() -> None:
    """Answer until the parent has gone, however much is under way then."""
    life, *ends = (Connection(int(descriptor)) for descriptor in sys.argv[1:])
    _to_the_end(partial(_serve, life, ends))
