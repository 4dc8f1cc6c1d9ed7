"""The faults of a run: which, how many, and when. They come with the progress of the work."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import redis as client

from bench.chaos.crew import Crew
from bench.chaos.site import LEASE_SECONDS, PAUSE_SECONDS, Site
from rankspace.lease import queue_names
from tests.fault_proxy import FAULTS
from tests.waiting import wait_for

STOPPED_SECONDS = LEASE_SECONDS + 1.5
CUT_SECONDS = 5.0
AWAY_SECONDS = 1.0
PATIENCE_SECONDS = 20.0
"""How long a wiped Redis is watched."""

DATABASE_S = 0.5
"""Share of the clock jumps that are the database's in any case."""

STRANDED_GIB = 1_000
STRANDED = queue_names.of_need(STRANDED_GIB, "LlamaForCausalLM")
"""Route of a study whose trials stay queued to the end: what must be on the board at any time."""


@dataclass(frozen=True, slots=True)
class Menu:
    """How many faults of each kind."""

    worker_kills: int
    worker_stops: int
    server_kills: int
    redis_kills: int
    redis_wipes: int
    postgres_stops: int
    network_cuts: int
    clock_jumps: int = 0

    def counts(self) -> Mapping[str, int]:
        return {name: getattr(self, name) for name in self.__slots__}


FULL = Menu(200, 30, 10, 3, 3, 5, 20, 20)
SMALL = Menu(10, 6, 2, 1, 1, 1, 4, 4)


@dataclass
class Faults:
    """Commits the faults of ``menu`` in a random order, evenly over the progress of the run."""

    site: Site
    crew: Crew
    menu: Menu
    dice: random.Random
    done: Counter[str] = field(default_factory=Counter)
    refills: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _later: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        counts = self.menu.counts()
        if self.site.postgres is None:
            counts = {**counts, "postgres_stops": 0}
        self._plan = [kind for kind, count in counts.items() for _ in range(count)]
        self.dice.shuffle(self._plan)
        self.total = len(self._plan)

    def keep_up(self, progress: float) -> None:
        """Commit what is due when ``progress``, 0 to 1, of the work is done."""
        while self._plan and self.total - len(self._plan) < progress * self.total:
            kind = self._plan.pop()
            getattr(self, f"_{kind}")()
            self.done[kind] += 1

    @property
    def is_over(self) -> bool:
        return not self._plan and not any(thread.is_alive() for thread in self._later)

    def finish(self) -> None:
        for thread in self._later:
            thread.join()

    def _worker_kills(self) -> None:
        slot = self.dice.choice(sorted(self.crew.posts))
        self.crew.kill(slot, same_name=self.dice.random() < 0.3)

    def _worker_stops(self) -> None:
        slot = self.dice.choice(sorted(self.crew.posts))
        process = self.crew.processes[slot]
        self.crew.signal(slot, signal.SIGSTOP)

        def go_on() -> None:
            time.sleep(STOPPED_SECONDS)
            if process is self.crew.processes[slot] and process.is_alive():
                self.crew.signal(slot, signal.SIGCONT)

        self._in_background(go_on)

    def _server_kills(self) -> None:
        replica = self.dice.choice(self.site.replicas)
        replica.kill()

        def again() -> None:
            time.sleep(AWAY_SECONDS)
            replica.start()
            wait_for(replica.is_ready, 90, pause_seconds=PAUSE_SECONDS)

        self._in_background(again)

    def _redis_kills(self) -> None:
        self._redis(wipe=False)

    def _redis_wipes(self) -> None:
        self._redis(wipe=True)

    def _redis(self, *, wipe: bool) -> None:
        redis = self.site.redis
        assert redis is not None
        redis.wipe() if wipe else redis.stop()
        time.sleep(AWAY_SECONDS)
        redis.start()
        if wipe:
            self._in_background(lambda: self._watch_refill(redis.url))

    def _watch_refill(self, url: str) -> None:
        """Time until the trials that no worker here can run are announced again."""
        began = time.monotonic()
        connection = client.Redis.from_url(url)
        try:
            while time.monotonic() - began < PATIENCE_SECONDS and not connection.zcard(STRANDED):
                time.sleep(0.05)
        except client.exceptions.ConnectionError:
            return  # it was killed once more
        finally:
            connection.close()
        self.refills.append(time.monotonic() - began)

    def _postgres_stops(self) -> None:
        postgres = self.site.postgres
        assert postgres is not None
        postgres.stop()
        time.sleep(AWAY_SECONDS)
        postgres.start()

    def _network_cuts(self) -> None:
        proxy, fault = self.dice.choice(self.site.proxies), self.dice.choice(FAULTS)
        proxy.begin(fault)

        def mend() -> None:
            time.sleep(CUT_SECONDS)
            proxy.end()

        self._in_background(mend)

    def _clock_jumps(self) -> None:
        """An hour on or back, half of the time where leases are kept; none is ever further off."""
        clocks = self.site.clocks
        clock = clocks[0] if self.dice.random() < DATABASE_S else self.dice.choice(clocks)
        is_forward = clock.ahead < 0 or (clock.ahead == 0 and self.dice.random() < 0.5)
        clock.jump(is_forward=is_forward)

    def _in_background(self, what: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                what()
            except Exception as error:  # noqa: BLE001  # the run must end and tell
                self.problems.append(f"{type(error).__name__}: {error}")

        thread = threading.Thread(target=guarded, daemon=True)
        self._later.append(thread)
        thread.start()
