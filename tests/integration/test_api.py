"""The load of ``bench.api`` in small: every answer is a success; how fast, the bench says."""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.soak]

SMALL = ("--workers=6", "--pages=2", "--trials=40", "--seconds=2", "--heartbeat-seconds=1")


def test_the_service_answers_everything_under_load() -> None:
    command = [sys.executable, "-m", "bench.api", *SMALL]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    figures = dict(part.split("=") for part in ran.stdout.strip().splitlines()[-1].split())
    assert figures["failed"] == "0"
    assert float(figures["rss_mib"]) < 400
