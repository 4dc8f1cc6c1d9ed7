"""Turns: whose study is planned next, so that nobody's large study holds up another project's."""

from collections.abc import Iterable


class Turns:
    """Start-time fair queueing over projects; a project that was idle has saved nothing up.

    Source: Goyal, Vin and Cheng (1996), Start-time fair queueing, section 2, equal weights.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._ends: dict[str, float] = {}

    def next(self, waiting: Iterable[str]) -> str | None:
        """Return the project whose turn it is; of equals the first one. None if none waits."""
        starts = {project: max(self._now, self._ends.get(project, 0.0)) for project in waiting}
        if not starts:
            return None
        project = min(starts, key=starts.__getitem__)
        self._now = starts[project]
        self._ends = {name: end for name, end in self._ends.items() if end > self._now}
        return project

    def charge(self, project: str, seconds: float) -> None:
        """Note that ``project`` was given so much time."""
        self._ends[project] = max(self._now, self._ends.get(project, 0.0)) + seconds
