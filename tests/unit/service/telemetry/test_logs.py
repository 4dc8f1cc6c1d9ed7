"""Nothing secret gets through a log, whoever writes it and wherever in the event it stands."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from service.settings import Settings
from service.telemetry.logs import blank, configure, redact

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


@pytest.mark.parametrize(
    "event",
    [
        {"authorization": f"Basic {SECRET}"},
        {"Set-Cookie": f"x={SECRET}"},
        {"api_key": SECRET},
        {"hmac_keys": [SECRET]},
        {"session_token": SECRET},
        {"webhook_secret": SECRET},
        {"password": SECRET},
        {"sentry_dsn": SECRET},
        {"database_url": f"postgresql://u:{SECRET}@db/x"},
        {"redis_url": SECRET},
        {"code": SECRET},
        {"request": {"headers": [{"authorization": SECRET}]}},
        {"problem": f"cannot connect to postgresql+psycopg://u:{SECRET}@db/x"},
        {"problem": f"redis://:{SECRET}@cache:6379/0 is gone"},
        {"problem": f"sent Authorization: Bearer {SECRET}"},
        {"problem": f"GET /login?code={SECRET}"},
        {"problem": f"Cookie: a=b; rka_session={SECRET}; c=d"},
        {"problem": f"Cookie: __Host-rka_session={SECRET}"},
        {"problem": ValueError(f"bearer {SECRET}")},
    ],
    ids=str,
)
def test_secrets_are_blanked(event: dict[str, Any]) -> None:
    logged = str(redact(structlog.get_logger(), "info", event))
    assert SECRET not in logged
    assert "[redacted]" in logged


def test_a_join_token_is_blanked() -> None:
    token = f"rkj_abcdefgh_{'a' * 32}_0123abcd"
    assert blank(f"token {token} was used") == "token rkj_abcdefgh_[redacted] was used"


@pytest.mark.parametrize("key", [KEY, KEY[:-9], f"{KEY}_0123abcd", f"{KEY}_0123"])
def test_of_a_key_its_identity_is_left(key: str) -> None:
    assert blank(f"key {key} was refused") == "key rka_abcdefgh_[redacted] was refused"


def test_what_is_no_secret_stays() -> None:
    event = {"key": "abcdefgh", "token": 7, "studies": ["st_a"], "status": "done", "code": None}
    assert redact(structlog.get_logger(), "info", dict(event)) == event


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
