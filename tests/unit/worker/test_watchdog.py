"""The watchdog ends a process that has stopped moving, whoever holds the interpreter."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import time
from ctypes import PyDLL
from worker.lease.watchdog import Watchdog

SECONDS = {seconds}

def stuck_in_native_code():
    PyDLL(None).sleep(60)  # PyDLL keeps the interpreter, as a bad extension would

def stuck_in_python():
    time.sleep(60)

def moving(dog):
    end = time.monotonic() + 2 * SECONDS
    while time.monotonic() < end:
        dog.moves()
        time.sleep(0.02)

with Watchdog(SECONDS) as dog:
    {what}
print("alive")
time.sleep(1.5 * SECONDS)
print("still alive")
"""


def _run(what: str, seconds: float) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", PROGRAM.format(what=what, seconds=seconds)]
    return subprocess.run(program, capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.parametrize("what", ["stuck_in_native_code", "stuck_in_python"])
def test_a_stuck_trial_ends_the_process_and_says_where(what: str) -> None:
    ended = _run(f"{what}()", 0.5)
    assert ended.returncode != 0
    assert "alive" not in ended.stdout
    assert what in ended.stderr


def test_a_trial_that_moves_is_left_alone_and_so_is_what_comes_after() -> None:
    ended = _run("moving(dog)", 1.0)
    assert (ended.returncode, ended.stdout.split("\n")[:2]) == (0, ["alive", "still alive"])
