"""Corpora: what base models are trained on, and what their pruned models are recovered on."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from bench.recording import Sources
from rankadaptor.demo.corpus import Corpus, standard_library
from rankspace.errors import InvalidInput


class CorpusName(StrEnum):
    """Of the texts; all but the first lie in a folder that the command line names."""

    STDLIB = "stdlib"  # the source of the running Python's standard library
    WIKITEXT = (
        "wikitext"  # WikiText-2: trained on its validation split, recovered on its test split
    )
    PTB = "ptb"  # Penn Treebank, likewise
    ROLEPLAY = "roleplay"  # instructions; rows by turns


@dataclass(frozen=True)
class Halves:
    """A corpus, and the file of its recovery half.

    Attributes:
        corpus: Both halves as text.
        rows: The second half as JSON lines where it is instructions; else empty.
    """

    corpus: Corpus
    rows: str = ""

    @property
    def format(self) -> Literal["text", "instruction"]:
        return "instruction" if self.rows else "text"

    def write(self, place: Path) -> tuple[Path, Path]:
        """Write what pruning looks at, which is text, and what is trained on."""
        text = place / "recovery.txt"
        text.write_text(self.corpus.recovery, encoding="utf-8")
        if not self.rows:
            return text, text
        rows = place / "recovery.jsonl"
        rows.write_text(self.rows, encoding="utf-8")
        return text, rows


def halves(name: CorpusName, sources: Sources) -> Halves:
    """Read a corpus.

    Raises:
        InvalidInput: It lies in the folder of ``--data``, which was not given or has no such file.
    """
    if name is CorpusName.STDLIB:
        return Halves(standard_library())
    if sources.data is None:
        fix = "add --data FOLDER, which has text/ and instructions/"
        raise InvalidInput("--data", None, f"is needed for the corpus {name}", fix=fix)
    return _READERS[name](sources.data)


def _split_text(stem: str) -> Callable[[Path], Halves]:
    def read(data: Path) -> Halves:
        return Halves(
            Corpus(_text(data / f"text/{stem}-valid.txt"), _text(data / f"text/{stem}-test.txt"))
        )

    return read


def _roleplay(data: Path) -> Halves:
    lines = _text(data / "instructions/gpteacher-roleplay.jsonl").splitlines()
    rows = [json.loads(line) for line in lines]
    recovery = "".join(f"{line}\n" for line in lines[1::2])
    return Halves(Corpus(_told(rows[::2]), _told(rows[1::2])), recovery)


def _told(rows: Iterable[Mapping[str, Any]]) -> str:
    parts = (
        "\n".join(filter(None, map(row.get, ("instruction", "input", "output")))) for row in rows
    )
    return "\n\n".join(parts)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        problem, fix = str(error.strerror), "give the folder that has text/ and instructions/"
        raise InvalidInput("--data", str(file), problem, fix=fix) from None


_READERS: Mapping[CorpusName, Callable[[Path], Halves]] = MappingProxyType(
    {
        CorpusName.WIKITEXT: _split_text("wikitext2"),
        CorpusName.PTB: _split_text("ptb"),
        CorpusName.ROLEPLAY: _roleplay,
    }
)
