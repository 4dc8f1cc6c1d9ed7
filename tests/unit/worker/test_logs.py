import json
import re

import pytest
import structlog

from rankspace.redaction import steering
from worker import logs

KEY = "rka_abcdefgh_" + "a" * 32
TOKEN = "rkj_abcdefgh_" + "b" * 32


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_secret_reaches_the_log(capfd: pytest.CaptureFixture[str], log_format: str) -> None:
    logs.configure(log_format, "info")
    log = structlog.get_logger()
    log.info("sent", header=f"Bearer {KEY}", password="hunter2", token=TOKEN, join_token="hunter3")
    log.info(
        "joined", problem=f"{TOKEN} was used", url="redis://:hunter4@cache", id=[{"code": 4711}]
    )
    try:
        raise ValueError(f"refused {KEY}")
    except ValueError:
        log.exception("trial_crashed")
    written = capfd.readouterr().err
    assert "rka_abcdefgh_[redacted]" in written
    assert "ValueError: refused" in written
    assert KEY not in written
    assert "rkj_abcdefgh_[redacted]" in written
    assert TOKEN not in written
    for secret in ("hunter2", "hunter3", "hunter4", "4711"):
        assert secret not in written


def test_json_stays_one_event_per_line(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    structlog.get_logger().info("trial_done", loss=1.5)
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["loss"] == 1.5


@pytest.mark.parametrize("name", ["x\x1b]0;mine\x07\x1b[2J", "a\rb", "a\u202eb c", "a\u2028b"])
def test_no_study_steers_the_terminal(capfd: pytest.CaptureFixture[str], name: str) -> None:
    logs.configure("console", "info")
    log = structlog.get_logger()
    log.info("trial_started", study=name, model=["/models", name], note=f"of {name}")
    try:
        raise ValueError(name)
    except ValueError:
        log.exception(f"of {name} came nothing")
    written = capfd.readouterr().err
    plain = re.sub(r"\x1b\[[0-9;]*m", "", written)  # the renderer's own colours
    assert not any(steering(line) for line in plain.split("\n"))
    assert plain.count("\n") > 5  # a trace keeps its lines
    assert name.encode("unicode_escape").decode() in plain
