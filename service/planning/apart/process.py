"""PlanningProcess: a StudyPlanner in a process of its own.

Python computes in one thread at a time, so what learns a model, however fair, takes its turns from
the heartbeats that are answered beside it; and memory that runs out ends whoever is in it. So the
planner, and whatever looks at what its models know, has an interpreter of its own. The two talk
over pairs of sockets that nobody else can reach; the child ends with its parent.
"""

import math
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeAlias

import structlog
from sqlalchemy.exc import SQLAlchemyError

from rankspace.errors import Unreachable
from service.planning.apart.life import Life, LifeEnded, Tell
from service.planning.apart.suspects import Suspects
from service.planning.listener import Listener
from service.planning.planner import fail
from service.planning.study_results import Planned
from service.settings import Settings
from service.storage.db import Database

log = structlog.get_logger(__name__)

Looking: TypeAlias = Callable[
    [Database, Planned, Callable[[str], object]], Callable[[str, str], Any]
]
"""From a database, what is known of a study there, and how to have one planned."""

MOST_ENDS = 3
"""Times that the process ends with nothing but one study's work under way until it is refused."""

PAUSE_SECONDS = 2.0
"""Until a process that did not get ready is started again."""

DOES_NOT_START = "the planning process does not start"
READ_THE_LOG = "the service's log says more"


class PlanningProcess:
    """What a StudyPlanner does, done by a process that is started anew when it ends.

    Args:
        settings: Of the service.
        database: Where a study stands as failed that ended the process again and again.
        listener: Hears of what was done there.
        looking: Makes what looks at the models there, a function of a module.
    """

    def __init__(
        self, settings: Settings, database: Database, listener: Listener, looking: Looking
    ) -> None:
        self._known = settings, looking
        self._database = database
        self._listener = listener
        self._lock = threading.Lock()
        self._suspects = Suspects()
        self._life: Life | None = None
        self._is_stopped = False
        self._not_before = -math.inf

    @property
    def is_alive(self) -> bool:
        """Whether it can be started, as far as is known."""
        return self._not_before == -math.inf

    def start(self) -> None:
        """Have it there when it is first asked; it takes a second or two."""
        self._there()

    def stop(self) -> None:
        """End it in the middle of whatever it does: every write is a transaction."""
        with self._lock:
            self._is_stopped = True
            life, self._life = self._life, None
        if life is not None:
            life.end()

    def advance(self, study: str, until: float) -> bool:
        """As of ``StudyPlanner``; a study whose planning ends the process again and again fails.

        Raises:
            Unreachable: The process cannot be started.
        """
        try:
            return self._planned("advance", study, until)
        except SQLAlchemyError as error:
            self._listener.postponed(study)
            log.error("study has to wait", study=study, exc_info=error)
            return True
        except LifeEnded:
            return self._is_given_up(study)

    def warm(self, study: str, until: float) -> bool:
        """As of ``StudyPlanner``."""
        try:
            return self._planned("warm", study, until)
        except LifeEnded:
            return True  # the next proposal takes longer

    def look(self, kind: str, study: str) -> Any:
        """What ``looking`` makes of a kind and a study; raises what that raises.

        Raises:
            Unreachable: The process cannot be started, or has ended meanwhile; it is not asked any
                more what ended it again and again.
        """
        what = ("look", study)
        if self._suspects.charges(what) >= MOST_ENDS:
            detail = f"looking at study {study} ends the planning process"
            raise Unreachable(detail, hint="give the service more memory, and start it anew")
        try:
            found = self._asked(what, "look", kind, study)
        except LifeEnded as ended:
            raise Unreachable(str(ended), hint=f"ask again in a minute; {READ_THE_LOG}") from None
        except Exception:  # an answer as well: the process is there
            self._suspects.clear(what)
            raise
        self._suspects.clear(what)
        return found

    def _planned(self, how: str, study: str, until: float) -> bool:
        is_done = bool(self._asked(study, how, study, until))
        if is_done:
            self._suspects.clear(study)
        return is_done

    def _asked(self, what: Hashable, call: str, *content: Any) -> Any:
        self._database.check_file()
        with self._suspects.work(what):
            life = self._there()
            lines = life.looks if call == "look" else life.plans
            try:
                answer = life.ask(lines, self._tell, call, *content)
            except LifeEnded as ended:
                self._note(life, ended, what)
                raise
        self._not_before = -math.inf
        return answer

    def _is_given_up(self, study: str) -> bool:
        """Have a study fail that ended the process too often; another one is planned again."""
        if self._is_stopped:
            return True
        ends = self._suspects.charges(study)
        if ends < MOST_ENDS:
            return False
        problem = (
            f"planning it ended the process that plans, {ends} times with nothing else under way; "
            "perhaps there is too little memory for a study of this size"
        )
        fail(self._database, self._listener, study, problem)
        self._suspects.clear(study)
        return True

    def _tell(self, what: str, *content: Any) -> None:
        hearer: Tell = getattr(self._listener, what)
        try:
            hearer(*content)
        except Exception as error:  # the answer comes after it on the same line
            log.error("who should hear of the planning fails", what=what, exc_info=error)

    def _there(self) -> Life:
        """The process, started if need be; what was known in an earlier one is to be read anew."""
        with self._lock:
            if self._is_stopped:
                raise Unreachable("the planning is stopped", hint="start the service")
            if self._life is not None and self._life.is_there:
                return self._life
            if time.monotonic() < self._not_before:
                raise Unreachable(DOES_NOT_START, hint=READ_THE_LOG)
            is_first, self._life = self._life is None, self._started()
            life = self._life
        if not is_first:
            self._listener.restarted()
        return life

    def _started(self) -> Life:
        try:
            return Life(*self._known)
        except OSError as error:
            self._not_before = time.monotonic() + PAUSE_SECONDS
            hint = "see that there are memory, processes and descriptors to be had"
            raise Unreachable(f"{DOES_NOT_START}: {error}", hint=hint) from error

    def _note(self, life: Life, ended: LifeEnded, what: Hashable) -> None:
        """Note the end of ``life``, and what was under way.

        Raises:
            Unreachable: It had never come to be ready: no work's fault.
        """
        if self._is_stopped:
            return
        code, was_ready = life.ended()
        log.error("the planning process has ended", exit_code=code, while_at=what)
        if not was_ready:
            self._not_before = time.monotonic() + PAUSE_SECONDS
            raise Unreachable(DOES_NOT_START, hint=READ_THE_LOG)
        if ended.was_asked:
            self._suspects.ended(life, what)
