"""Nothing secret gets through a log, whoever writes it and wherever in the event it stands."""

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from rankspace.redaction import steering
from service.settings import Settings
from service.telemetry.logs import configure

SECRET = "c4n4ry"
KEY = f"rka_abcdefgh_{'a' * 32}"


@pytest.fixture
def _own_logging() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.mark.usefixtures("_own_logging")
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_libraries_log_through_the_same_filter(
    capfd: pytest.CaptureFixture[str], log_format: Any
) -> None:
    configure(Settings(log_format=log_format))
    try:
        raise ValueError(f"refused {KEY}")
    except ValueError:
        logging.getLogger("uvicorn.error").exception("of postgresql://u:%s@db/x", SECRET)
    written = capfd.readouterr().err
    assert "ValueError: refused rka_abcdefgh_[redacted]" in written
    assert "postgresql://u:[redacted]@db/x" in written
    assert SECRET not in written


@pytest.mark.usefixtures("_own_logging")
def test_no_text_steers_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    configure(Settings(log_format="console"))
    structlog.get_logger().warning("took", name="x\x1b[2J", other="a\u202eb")
    try:
        raise ValueError("\x1b]0;mine\x07")
    except ValueError:
        logging.getLogger("library").exception("of %s", "\x1b[1m")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", capfd.readouterr().err.replace("\x1b[1m", "BOLD"))
    assert not any(steering(line) for line in plain.split("\n"))
    assert all(part in plain for part in ("x\\x1b[2J", "a\\u202eb", "\\x1b]0;mine", "\n"))
    assert "BOLD" not in plain
