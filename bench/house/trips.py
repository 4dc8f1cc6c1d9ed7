"""The files that a rank vector and a report pass on their way, of any checkout."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

JOURNEY = Path(__file__).with_name("journey.py")
UNDISTURBED = {"HOUSEKEEPING": "3600", "STEWARD": "3600"}
"""Seconds between two rounds of what the service does by itself, by its name now and before."""

TITLES = {
    "vector": "a rank vector: proposed, claimed, attached, trained, reported, learnt",
    "report": "a report: from its arrival to the verdict",
}


def trips(root: Path) -> dict[str, list[str]]:
    """Files entered on each trip, in order, by the product in ``root``.

    Raises:
        CalledProcessError: The product there is not to be driven so.
    """
    own = {f"RANKADAPTOR_{name}_SECONDS": value for name, value in UNDISTURBED.items()}
    clean = {name: v for name, v in os.environ.items() if not name.startswith("RANKADAPTOR_")}
    environment = {**clean, **own, "PYTHONPATH": str(root)}
    with tempfile.TemporaryDirectory(prefix="trips-") as folder:
        command = [sys.executable, "-P", str(JOURNEY), str(root), folder]
        done = subprocess.run(
            command, check=True, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True
        )
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def rooms(files: Sequence[str]) -> list[str]:
    """Rooms that the files lie in, in order of first entry."""
    return list(dict.fromkeys("/".join(Path(file).with_suffix("").parts[:2]) for file in files))
