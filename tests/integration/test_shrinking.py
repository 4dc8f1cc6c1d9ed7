"""`rankadaptor shrink` on a real pretrained model, killed outright and gone on with."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rankadaptor.study_file import read_study
from rankspace.wire import encode
from tests.integration.conftest import STORIES
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.integration,
    pytest.mark.soak,
    pytest.mark.skipif(not STORIES.is_dir(), reason=f"no pretrained model at {STORIES}"),
]

SMALL: dict[str, Any] = {
    "search": {"ranks": [0, 1, 2], "budget": {"parameters": "uniform:1", "trials": 6}},
    "verify": {"candidates": 1, "seeds": 3, "max_trials": 15},
    "recover": {"steps": 6},
}
TEXT = STORIES / "sample.txt"


def command(home: Path, *options: str) -> list[str]:
    asked = ["shrink", str(STORIES), "--keep", "0.7", "--data", str(TEXT), "--to", str(home)]
    return [sys.executable, "-m", "rankadaptor.cli", *asked, *options]


def make_small(study: Path) -> None:
    """Change the study as a person would between --prepare and the search."""
    document = encode(read_study(study))
    document.update(SMALL)
    document["search"]["trial"] = {"steps": 3}
    document["recipe"].update(sequence_length=64, batch={"examples": 8})
    study.write_text(json.dumps(document))


def children(parent: int) -> set[int]:
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return {int(one) for one in listed}


def is_running(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="children end with their parent on Linux")
def test_it_goes_on_where_it_was_killed_and_ends_with_a_small_model(tmp_path: Path) -> None:
    home = tmp_path / "small"
    subprocess.run(command(home, "--prepare"), check=True, stderr=subprocess.DEVNULL)
    make_small(home / "study.yaml")
    cut = (home / "pruned" / "pruned.json").read_bytes()
    with (tmp_path / "log").open("wb") as log:
        first = subprocess.Popen(command(home), stdout=log, stderr=log)
        worker = home / "logs" / "worker-1.log"
        wait_for(lambda: worker.exists() and b"trial_done" in worker.read_bytes(), 240)
        left = children(first.pid)
        assert len(left) == 2  # the service and a worker
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    wait_for(lambda: not any(map(is_running, left)), 60)

    done = subprocess.run(command(home, "--json"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
    found = json.loads(done.stdout)
    assert found["study"] == (home / "study.id").read_text().strip()
    assert found["parameters"] / found["dense_parameters"] == pytest.approx(0.7, abs=0.02)
    assert (home / "pruned" / "pruned.json").read_bytes() == cut
    assert done.stderr.count("done before") == 4
    for where in ("adapter/adapter_model.safetensors", "model/model.safetensors"):
        assert (home / where).is_file()
    events = (home / "logs" / "service.log").read_text()
    assert "\0" not in events
