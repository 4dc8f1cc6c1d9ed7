"""Where finished studies come from: databases, exported files, recorded surfaces."""

from collections.abc import Sequence
from pathlib import Path

from perfmodel.meta.finished import FinishedStudy, read_studies
from rankadaptor.meta.surfaces import recorded_studies
from rankspace.errors import InvalidInput


def gather(
    databases: Sequence[str], files: Sequence[Path], surfaces: Sequence[Path]
) -> tuple[FinishedStudy, ...]:
    """Read all studies named on a command line.

    Raises:
        InvalidInput: None is named, or a source cannot be read.
    """
    if not (databases or files or surfaces):
        raise InvalidInput(
            "studies",
            None,
            "no source is named",
            fix="give --database, --studies or --surfaces; each may come more than once",
        )
    found: list[FinishedStudy] = []
    for url in databases:
        from rankadaptor.meta.history import finished_studies  # noqa: PLC0415 the service's rooms

        found.extend(finished_studies(url))
    for file in files:
        found.extend(read_studies(_text(file)))
    for folder in surfaces:
        found.extend(recorded_studies(folder))
    return tuple(found)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("studies", str(file), str(error), fix="give a readable file") from None
