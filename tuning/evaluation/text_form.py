r"""TextForm: how the lines of a text file become the one text whose perplexity is measured.

Published numbers are of ``"\n\n".join(rows)``, where the rows are what a loader of the data set
makes of the lines; two loaders differ, and so do the token streams. As read in LLM-Pruner
(``LLMPruner/datasets/ppl_dataset.py``, commit 23928e9), which has it from GPTQ.
"""

import io
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from rankspace.errors import InvalidInput
from tuning.reading.records import read_stream
from tuning.reading.source import Source

FIELD = "--perplexity"

BETWEEN_ROWS = "\n\n"


class TextForm(StrEnum):
    """Whose rows the lines of a text file are."""

    PLAIN = "plain"
    WIKITEXT2 = "wikitext2"
    PTB = "ptb"


def named_text(given: str) -> tuple[TextForm, Path]:
    """Read ``wikitext2=FILE``, ``ptb=FILE`` or ``FILE``: what a person types for a text."""
    kind, equals, rest = given.partition("=")
    if equals and kind in set(TextForm):
        return TextForm(kind), Path(rest)
    return TextForm.PLAIN, Path(given)


def read_form(form: TextForm, path: Path) -> str:
    """Read the text of a file: as it stands, the texts of JSON rows joined, or joined lines.

    Raises:
        InvalidInput: It is no UTF-8 text, or JSON rows where lines are asked for.
        CannotOpen: This machine cannot read it.
    """
    shape, text = read_stream(Source(FIELD, path))
    if form is TextForm.PLAIN:
        return text
    if shape != "text":
        problem = f"holds rows of JSON, not the lines of {form.value}"
        raise InvalidInput(FIELD, str(path), problem, fix=f"leave {form.value}= out")
    # Only \n ends a line there, not the other ends that str.splitlines knows.
    return BETWEEN_ROWS.join(map(_ROWS[form], io.StringIO(text, newline="\n")))


def _wikitext_row(line: str) -> str:
    """The loader of ``wikitext`` keeps the end of a line, and makes a blank one empty."""
    return line if line.strip() else ""


_ROWS: Mapping[TextForm, Callable[[str], str]] = MappingProxyType(
    {TextForm.WIKITEXT2: _wikitext_row, TextForm.PTB: str.strip}
)
"""What ``wikitext`` and ``ptb_text_only`` of the hub make of a line."""
