"""The store: answers of the peers, which do not change from run to run, as lines of JSON."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from bench.proposers.record import Record

RESULTS = Path(__file__).parent / "results"

Key = tuple[str, int, int, str, int]
"""Family, layers, problem, arm, length."""


class Store:
    """One file per arm in a folder; a later line of the same key replaces an earlier one."""

    def __init__(self, folder: Path = RESULTS) -> None:
        self._folder = folder
        self._found: dict[Key, Record] = {}
        for file in sorted(folder.glob("*.jsonl")):
            for line in file.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                record = Record(**row | {"ranks": tuple(row["ranks"])})
                self._found[_key(record)] = record

    def find(self, key: Key, fingerprint: str, version: str) -> Record | None:
        """Return the stored answer to the problem of ``fingerprint``.

        None if there is none, or it is by another version of the arm's library than ``version``;
        an empty ``version`` (the library is not installed) takes what there is.
        """
        record = self._found.get(key)
        if record is None or record.fingerprint != fingerprint:
            return None
        return record if version in ("", record.version) else None

    def add(self, records: Iterable[Record]) -> None:
        """Append ``records``, so that a killed run goes on where it was."""
        for record in records:
            self._found[_key(record)] = record
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / f"{record.arm}.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(record)) + "\n")


def _key(record: Record) -> Key:
    return (record.family, record.layers, record.problem, record.arm, record.length)
