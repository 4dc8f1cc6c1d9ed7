"""Logging: JSON lines, or coloured lines on a terminal; nothing secret gets through."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from service.settings import Settings

SECRET_NAMES = re.compile(
    r"(authorization|cookie|secret|password|dsn|api_key|code)$", re.IGNORECASE
)
SECRET_VALUES = re.compile(r"rka_([a-z2-7]{8})_[a-z2-7]{32}")


def configure(settings: Settings) -> None:
    """Set up structlog for the whole process, on standard error."""
    renderer = structlog.processors.JSONRenderer() if _is_json(settings) else _console()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.log_level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Blank secret fields, and keys inside of any text."""
    for name, value in event.items():
        if SECRET_NAMES.search(name):
            event[name] = "[redacted]"
        elif isinstance(value, str):
            event[name] = SECRET_VALUES.sub(r"rka_\1_[redacted]", value)
    return event


def _is_json(settings: Settings) -> bool:
    if settings.log_format == "auto":
        return not sys.stderr.isatty()
    return settings.log_format == "json"


def _console() -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
