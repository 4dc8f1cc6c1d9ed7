"""The watchdog ends a process that has stopped moving, whoever holds the interpreter."""

import subprocess
import sys
import time

import pytest

PROGRAM = """
import time
from ctypes import PyDLL
from worker.lease.watchdog import Watchdog

def stuck_in_native_code():
    PyDLL(None).sleep(60)  # PyDLL keeps the interpreter, as a bad extension would

def stuck_in_python():
    time.sleep(60)

def moving(dog):
    for _ in range(30):
        time.sleep(0.05)
        dog._set()

with Watchdog(0.5) as dog:
    {what}
print("alive")
time.sleep(0.8)
print("still alive")
"""


def _run(what: str) -> tuple[subprocess.CompletedProcess[str], float]:
    began = time.monotonic()
    program = [sys.executable, "-c", PROGRAM.format(what=what)]
    ended = subprocess.run(program, capture_output=True, text=True, timeout=50, check=False)
    return ended, time.monotonic() - began


@pytest.mark.parametrize("what", ["stuck_in_native_code", "stuck_in_python"])
def test_a_stuck_trial_ends_the_process_and_says_where(what: str) -> None:
    ended, seconds = _run(f"{what}()")
    assert ended.returncode != 0
    assert "alive" not in ended.stdout
    assert what in ended.stderr
    assert seconds < 30


def test_a_trial_that_moves_is_left_alone_and_so_is_what_comes_after() -> None:
    ended, _ = _run("moving(dog)")
    assert (ended.returncode, ended.stdout.split("\n")[:2]) == (0, ["alive", "still alive"])
