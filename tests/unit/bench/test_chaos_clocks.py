"""Clocks that are set: a real program reads them, and sees every jump and no other change."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.chaos.clocks import Clock, build
from bench.chaos.history import CLOCK_STEP_SECONDS
from tests.services import Missing, skip_or_fail

READ = """
import datetime, sqlite3, sys, time
day = "select (julianday('now') - 2440587.5) * 86400"
for _ in sys.stdin:
    database = sqlite3.connect(":memory:").execute(day).fetchone()[0]
    print(time.time(), datetime.datetime.now().timestamp(), database, time.monotonic(), flush=True)
"""


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    try:
        return Clock(build(tmp_path), tmp_path / "clock")
    except Missing as missing:
        skip_or_fail(missing)
        raise


@pytest.fixture
def program(clock: Clock) -> Iterator["subprocess.Popen[str]"]:
    """One that tells the time when it is asked: by three wall clocks, and the steady one."""
    environment = {**os.environ, **clock.environment}
    command = [sys.executable, "-c", READ]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as running:
        yield running
        running.kill()


def _ahead(program: "subprocess.Popen[str]") -> list[float]:
    """Seconds that its clocks are ahead of ours, rounded to a tenth of an hour."""
    assert program.stdin
    assert program.stdout
    program.stdin.write("\n")
    program.stdin.flush()
    *walls, steady = map(float, program.stdout.readline().split())
    hours = [(wall - time.time()) / CLOCK_STEP_SECONDS for wall in walls]
    return [round(hour, 1) for hour in (*hours, (steady - time.monotonic()) / CLOCK_STEP_SECONDS)]


def test_a_running_program_sees_its_wall_clocks_jump(
    clock: Clock, program: "subprocess.Popen[str]"
) -> None:
    assert _ahead(program) == [0, 0, 0, 0]
    clock.jump(is_forward=True)
    assert _ahead(program) == [1, 1, 1, 0]
    clock.jump(is_forward=False)
    clock.jump(is_forward=False)
    assert _ahead(program) == [-1, -1, -1, 0]


def test_a_program_that_cannot_read_its_clock_does_not_run(clock: Clock) -> None:
    clock.file.unlink()
    told = {**os.environ, **clock.environment}
    assert subprocess.run(["true"], env=told, check=False).returncode != 0
