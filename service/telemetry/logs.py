"""Logging: JSON lines, or coloured lines on a terminal; nothing secret gets through."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

from service.settings import Settings

SECRET_NAMES = re.compile(
    r"(authorization|cookie|[-_]key|token|secret|password|dsn|database_url|redis_url|(^|_)code)s?$",
    re.IGNORECASE,
)
BLANK = "[redacted]"
_BLANKED = (
    (re.compile(r"(rk[aj])_([a-z2-7]{8})_[a-z0-9_]+"), rf"\1_\2_{BLANK}"),
    (re.compile(r"\b(Bearer|Basic)\s+[^\s'\",]+", re.IGNORECASE), rf"\1 {BLANK}"),
    (re.compile(r"(\w://[^\s/:@]*):[^\s/@]+@"), rf"\1:{BLANK}@"),
    (re.compile(r"((?:rka_session|[?&\s'\"]code)=)[\w%.~-]+"), rf"\1{BLANK}"),
)
"""Keys, join tokens, a header's credentials, passwords in addresses, cookies and login codes."""


def configure(settings: Settings) -> None:
    """Set up logging for the whole process, on standard error; libraries' logs included."""
    shared: tuple[Processor, ...] = (
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    )
    last: tuple[Processor, ...] = (
        structlog.processors.format_exc_info,
        redact,
        structlog.processors.JSONRenderer() if _is_json(settings) else _console(),
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _adopt_libraries(shared, last)


def _adopt_libraries(shared: tuple[Processor, ...], last: tuple[Processor, ...]) -> None:
    """Without it the standard library prints warnings and traces as they are, secrets included."""
    handler = logging.StreamHandler(sys.stderr)
    processors = (ProcessorFormatter.remove_processors_meta, *last)
    handler.setFormatter(ProcessorFormatter(processors=processors, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank secret fields at any depth, and secrets inside of any text."""
    for name, value in event.items():
        event[name] = _redacted(name, value)
    return event


def blank(text: str) -> str:
    """Blank what looks like a secret in ``text``."""
    for pattern, replacement in _BLANKED:
        text = pattern.sub(replacement, text)
    return text


def _redacted(name: str, value: Any) -> Any:
    """Numbers are never secret: a lease's token is one."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if SECRET_NAMES.search(name):
        return BLANK
    if isinstance(value, Mapping):
        return {key: _redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(name, item) for item in value]
    return blank(value if isinstance(value, str) else str(value))


def _is_json(settings: Settings) -> bool:
    if settings.log_format == "auto":
        return not sys.stderr.isatty()
    return settings.log_format == "json"


def _console() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
