"""Asking and telling in memory: our strategies, with everything they keep."""

from bench.latency.cell import Cell, Timing
from bench.latency.history import EXTRA, History, history
from bench.latency.stopwatch import timed
from perfmodel import ModelState, learn, propose, start


class Own:
    """One study of ours as two calls."""

    def __init__(self, strategy: str, past: History) -> None:
        trials = len(past.known) + EXTRA
        self._state: ModelState = start(past.space, strategy=strategy, trials=trials)
        self._past, self._next = past, 0

    def load(self) -> None:
        self._state = learn(self._state, self._past.known)

    def propose(self) -> None:
        self._state, _ = propose(self._state)

    def learn(self) -> None:
        self._state = learn(self._state, self._past.coming[self._next : self._next + 1])
        self._next += 1


def measure(cell: Cell, cycles: int) -> Timing:
    """Time a strategy; ``cycles`` is at most ``EXTRA``."""
    study = Own(cell.who, history(cell.layers, cell.trials))
    return timed(cell, study.load, study.propose, study.learn, cycles)
