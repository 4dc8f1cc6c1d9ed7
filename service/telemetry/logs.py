"""Logging: JSON lines, or coloured lines on a terminal; nothing secret gets through."""

import logging
import sys
from collections.abc import MutableMapping
from functools import partial
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

from rankspace.redaction import visible_texts, without_secrets
from service.settings import Settings


def configure(settings: Settings, process: str | None = None) -> None:
    """Set up logging for the whole process, on standard error; libraries' logs included.

    ``process``: what its lines say of where they come from.
    """
    shared: tuple[Processor, ...] = (
        *((partial(_named, process),) if process else ()),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    )
    last: tuple[Processor, ...] = (
        structlog.processors.format_exc_info,
        redact,
        *((structlog.processors.JSONRenderer(),) if _is_json(settings) else _console()),
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


def _named(
    process: str, _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {**event, "process": process}


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    return without_secrets(event)


def _is_json(settings: Settings) -> bool:
    if settings.log_format == "auto":
        return not sys.stderr.isatty()
    return settings.log_format == "json"


def _console() -> tuple[Processor, ...]:
    plain = structlog.dev.plain_traceback
    return _visible, structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=plain
    )


def _visible(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """Have no text steer the terminal; a trace keeps its lines."""
    return visible_texts(event)
