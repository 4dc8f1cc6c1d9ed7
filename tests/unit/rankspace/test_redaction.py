"""Secrets of each kind: whatever field or text they stand in, they do not stay there."""

from typing import Any

import pytest

from rankspace.redaction import blank, without_secrets

SECRET = "c4n4ry"
KEY = f"rka_abcdefgh_{'a' * 32}"


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
        {"logincode": SECRET},
        {"join_token": SECRET},
        {"api_keys": {"first": [SECRET]}},
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
    logged = str(without_secrets(event))
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
    assert without_secrets(event) == event


@pytest.mark.parametrize("name", ["password", "api_key", "login_code", "webhook_secret"])
def test_a_number_is_a_secret_too(name: str) -> None:
    assert without_secrets({name: 4711}) == {name: "[redacted]"}


def test_numbers_of_tokens_and_codes_that_open_nothing_stay() -> None:
    event = {"token": 7, "tokens": 1_000, "token_seconds": 0.5, "exit_code": 1, "status_code": 409}
    assert without_secrets(event) == event
