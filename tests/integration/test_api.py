"""The load that ``bench.api`` makes, in its short form, against a real server."""

import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.integration
def test_the_service_answers_everything_under_load() -> None:
    command = [sys.executable, "-m", "bench.api", "--quick"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    figures = dict(part.split("=") for part in ran.stdout.strip().splitlines()[-1].split())
    assert figures["failed"] == "0"
    assert float(figures["rss_mib"]) < 400
