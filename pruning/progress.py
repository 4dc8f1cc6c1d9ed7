"""Telling a caller how far a long computation is."""

from collections.abc import Callable

OnProgress = Callable[[int, int], None]
"""Called with steps done and steps in all."""


class Steps:
    """Counts up to ``total``, telling ``on_progress`` at each step."""

    def __init__(self, total: int, on_progress: OnProgress | None) -> None:
        self._done = 0
        self._total = total
        self._on_progress = on_progress

    def __call__(self) -> None:
        self._done += 1
        if self._on_progress:
            self._on_progress(self._done, self._total)
