"""Redaction: what a text may not bring into a log or onto a terminal, and what stands for it.

Secrets, by their names or their looks; and characters that are not shown but steer what shows them.
"""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

_SECRET_NAMES = re.compile(
    r"(authorization|cookie|[-_]key|token|secret|password|dsn|database_url|redis_url|(?<![a-z])(?:login)?code)s?$",
    re.IGNORECASE,
)
_NUMBER_NAMES = re.compile(r"(tokens?|(exit|status)_code)$", re.IGNORECASE)
"""Where a number is no secret: fencing tokens, counts of tokens, exit and status codes."""

_BLANK = "[redacted]"
_BLANKED = (
    (re.compile(r"(rk[aj])_([a-z2-7]{8})_[a-z0-9_]+"), rf"\1_\2_{_BLANK}"),
    (re.compile(r"\b(Bearer|Basic)\s+[^\s'\",]+", re.IGNORECASE), rf"\1 {_BLANK}"),
    (re.compile(r"(\w://[^\s/:@]*):[^\s/@]+@"), rf"\1:{_BLANK}@"),
    (re.compile(r"((?:rka_session|[?&\s'\"]code)=)[\w%.~-]+"), rf"\1{_BLANK}"),
)
"""Keys, join tokens, a header's credentials, passwords in addresses, cookies and login codes."""


def without_secrets(event: Mapping[str, Any]) -> dict[str, Any]:
    """Blank secret fields of a log event at any depth, and secrets inside of any text."""
    return {name: _redacted(name, value) for name, value in event.items()}


def blank(text: str) -> str:
    """Blank what looks like a secret in ``text``."""
    for pattern, replacement in _BLANKED:
        text = pattern.sub(replacement, text)
    return text


def _redacted(name: str, value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if _SECRET_NAMES.search(name) and not _is_plain_number(name, value):
        return _BLANK
    if isinstance(value, int | float):
        return value
    if isinstance(value, Mapping):
        return without_secrets({str(key): item for key, item in value.items()})
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(name, item) for item in value]
    return blank(value if isinstance(value, str) else str(value))


def _is_plain_number(name: str, value: Any) -> bool:
    return isinstance(value, int | float) and _NUMBER_NAMES.search(name) is not None


_LINES_AND_CONTROLS = frozenset({"Cc", "Zl", "Zp", "Cs"})
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They turn the direction in which all that follows is read; mere marks of direction do not."""

_TRACES = frozenset({"exception", "stack"})


def steering(text: str) -> str | None:
    """Return the first character that would not be shown, but break, turn or control; or None.

    Those that join letters and emoji, or are only newer than this program's tables, are no harm.
    """
    return next((c for c in text if _steers(c)), None)


def visible(text: str, *, keep: str = "") -> str:
    """Write every character that steers, but those to ``keep``, as Python would: ``\\x1b``."""
    return "".join(
        c if c in keep or not _steers(c) else c.encode("unicode_escape").decode() for c in text
    )


_MARKS = re.compile(r"[\\`*_\[\]<>&|~]")


def as_markdown(text: str) -> str:
    """Write ``text`` as one line of Markdown that shows it as it is, in a table, too."""
    return _MARKS.sub(r"\\\g<0>", visible(text))


def visible_texts(event: Mapping[str, Any]) -> dict[str, Any]:
    """Make each text of a log event visible; a trace keeps its lines.

    What is in lists and the like is shown as Python writes it, which is visible.
    """
    return {
        name: visible(value, keep="\n\t" if name in _TRACES else "")
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }


def _steers(character: str) -> bool:
    return character in _TURNS or unicodedata.category(character) in _LINES_AND_CONTROLS
