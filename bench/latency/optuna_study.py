"""Asking and telling Optuna's TPE, in memory and on SQLite, at the same history."""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
from optuna.distributions import BaseDistribution, IntDistribution

from bench.latency.cell import Cell, Timing
from bench.latency.history import History, history
from bench.latency.stopwatch import timed
from rankspace import Observation

SQLITE = "optuna-tpe-sqlite"
PEERS = ("optuna-tpe", SQLITE)
CHUNK = 10
"""Trials per ``add_trials``; after the first ones the rest of the time is foreseen."""


class TooSlow(Exception):
    """Loading the history would take longer than the cap."""


class Study:
    """One study of Optuna's as two calls."""

    def __init__(self, past: History, storage: str | None, cap: float) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=0)
        self._study = optuna.create_study(direction="maximize", storage=storage, sampler=sampler)
        self._past, self._cap, self._next = past, cap, 0
        last = len(past.space.ranks) - 1
        self._distributions: dict[str, BaseDistribution] = {
            f"r{at:03d}": IntDistribution(0, last) for at in range(len(past.space.layers))
        }
        self._trial: optuna.Trial | None = None

    def load(self) -> None:
        """Add the history.

        Raises:
            TooSlow: At the pace so far it would pass the cap.
        """
        begun, known = time.perf_counter(), self._past.known
        for at in range(0, len(known), CHUNK):
            self._add(known[at : at + CHUNK])
            pace = (time.perf_counter() - begun) / (at + CHUNK)
            if pace * len(known) > self._cap:
                raise TooSlow

    def propose(self) -> None:
        self._trial = self._study.ask(self._distributions)

    def learn(self) -> None:
        assert self._trial is not None
        self._trial.set_constraint("budget", -1.0)
        self._study.tell(self._trial, self._past.coming[self._next].score)
        self._next += 1

    def _add(self, seen: Sequence[Observation]) -> None:
        ranks = self._past.space.ranks
        self._study.add_trials(
            [
                optuna.trial.create_trial(
                    params={
                        name: ranks.index(rank)
                        for name, rank in zip(
                            self._distributions, one.rank_vector.ranks, strict=True
                        )
                    },
                    distributions=self._distributions,
                    value=one.score,
                    constraints={"budget": -1.0},
                )
                for one in seen
            ]
        )


def measure(cell: Cell, cycles: int, cap: float) -> Timing | None:
    """Time TPE; None when its history does not load within ``cap`` seconds."""
    past = history(cell.layers, cell.trials)
    with TemporaryDirectory(prefix="rankadaptor-latency-") as folder:
        url = f"sqlite:///{Path(folder) / 'study.db'}" if cell.who == SQLITE else None
        study = Study(past, url, cap)
        try:
            return timed(cell, study.load, study.propose, study.learn, cycles)
        except TooSlow:
            return None
