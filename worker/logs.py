"""Logging: one event per line, for a person on a terminal and as JSON elsewhere; no secrets."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from rankspace.redaction import visible_texts, without_secrets

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}


def configure(log_format: str, level: str) -> None:
    """Send every structlog event to standard error as ``auto``, ``json`` or ``console`` says."""
    plain = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            *(_for_a_terminal() if plain else (structlog.processors.JSONRenderer(),)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS.get(level, logging.ERROR)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _for_a_terminal() -> tuple[Any, ...]:
    return _visible, structlog.dev.ConsoleRenderer()


def _visible(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    return visible_texts(event)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    return without_secrets(event)
