"""Mutants: copies of the service without one of its protections. The check must find each out."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("rankspace", "perfmodel", "service", "migrations")

LEASES, WORKFLOW = "service/leases/repository.py", "service/leases/workflow.py"
MIGRATION = "migrations/versions/0004_let_several_services_share_a_database.py"

SHOWS: Mapping[str, str] = MappingProxyType(
    {"no token check": "stale", "no primary key": "double", "no republish": "slow"}
)
"""The kind of finding that must come of each; any other would not be the protection's doing."""

MUTANTS: Mapping[str, tuple[tuple[str, str, str], ...]] = MappingProxyType(
    {
        "no token check": (
            (
                LEASES,
                '_TRIALS.c.token == bindparam("held")',
                '_TRIALS.c.token >= bindparam("held")',
            ),
        ),
        "no primary key": (
            (WORKFLOW, 'attempt.outcome in ("done", "failed")', "False"),
            (
                LEASES,
                "_from(*(old for old, following in TRANSITIONS.items() if state in following))",
                "_from(*TRANSITIONS)",
            ),
            (
                MIGRATION,
                "def upgrade() -> None:\n",
                "def upgrade() -> None:\n"
                '    op.execute("ALTER TABLE observations DROP CONSTRAINT pk_observations")\n',
            ),
        ),
        "no republish": (
            (
                "service/signals/hints.py",
                "            return [Queued(*row) for row in session.execute(_QUEUED)]",
                "            found = [Queued(*row) for row in session.execute(_QUEUED)]\n"
                "            told = getattr(self, '_told', {})\n"
                "            self._told = {q.trial: told.get(q.trial, 0) + 1 for q in found}\n"
                "            return [q for q in found if self._told[q.trial] < 4]",
            ),
        ),
    }
)
"""File, what stands there once, and what stands there instead.

``no primary key`` takes out all that keeps a trial from having two results: the answer to who
reports twice, the states a result may follow on, and the key itself.
"""


def plant(name: str, tree: Path) -> Path:
    """Copy the service into ``tree`` and take the protection ``name`` out; "" takes out none."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tree / package, ignore=ignored)
    for file, here, instead in MUTANTS.get(name, ()):
        path = tree / file
        text = path.read_text(encoding="utf-8")
        if text.count(here) != 1:
            raise AssertionError(f"mutant {name!r}: {file} holds {text.count(here)} of {here!r}")
        path.write_text(text.replace(here, instead), encoding="utf-8")
    return tree
