"""A worker that is killed in the middle of a recovery goes on where it stood."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from rankspace import Assignment, Measurement
from rankspace.lease import ADAPTER_FILES, WEIGHTS
from rankspace.trial import Purpose
from rankspace.wire import decode
from tests.integration import forked
from tests.unit.tiny_llama import (  # noqa: F401  # fixtures
    assign,
    description,
    model_directory,
    one_thread,
    text_file,
)
from tests.unit.worker.fake_service import FakeService
from tests.waiting import wait_for
from worker.trial.evaluation import Evaluator

pytestmark = pytest.mark.integration

STEPS, MIDDLE = 200, 20

COMMAND = ("worker", "--name", "w1", "--device", "cpu", "--cpu-threads", "1")


def test_a_killed_recovery_comes_to_the_same_in_fewer_steps(
    tmp_path: Path,
    assign: Callable[..., Assignment],  # noqa: F811
) -> None:
    recovery = assign(purpose=Purpose.RECOVER, steps=STEPS, keep_adapter=True)
    whole = Evaluator(torch.device("cpu")).evaluate(recovery, _go_on, tmp_path / "whole")
    service, spool = FakeService(), tmp_path / "spool"
    service.leases.queue(recovery)
    start = partial(_start, service.url, spool, tmp_path)
    try:
        first = start(tmp_path / "first.log")
        wait_for(lambda: _kept(spool) >= MIDDLE)
        first.kill()
        first.join()
        assert service.bodies("report") == []
        second = start(tmp_path / "second.log")
        wait_for(lambda: service.bodies("report") != [])
        wait_for(lambda: not any(spool.glob("*.checkpoint")))
        second.kill()
        second.join()
    finally:
        service.close()
    (report,) = service.bodies("report")
    assert (report["outcome"], report["token"]) == ("done", 2)
    assert _lasting(decode(Measurement, report["measurement"])) == _lasting(whole)
    uploaded = service.bodies("upload")[ADAPTER_FILES.index(WEIGHTS)]
    assert uploaded == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert MIDDLE <= _resumed_at(tmp_path / "second.log") < STEPS


def _start(url: str, spool: Path, home: Path, log: Path) -> Any:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "OMP_NUM_THREADS": "1",
        "RANKADAPTOR_URL": url,
        "RANKADAPTOR_KEY": "rka_x_secret",
        "RANKADAPTOR_SPOOL_DIRECTORY": str(spool),
        "RANKADAPTOR_TOKEN_DIRECTORY": str(home / "tokens"),
        "RANKADAPTOR_CHECKPOINT_MINUTES": "0.0005",
        "RANKADAPTOR_LOG_FORMAT": "json",
    }
    return forked.start(partial(forked.command, COMMAND), environment, log)


def _kept(spool: Path) -> int:
    """How many steps a checkpoint has; 0 where there is none."""
    for path in spool.glob("*.checkpoint"):
        with safe_open(path, framework="pt") as file:
            return int(file.get_slice("losses").get_shape()[0])
    return 0


def _resumed_at(log: Path) -> int:
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    (resumed,) = [line for line in lines if line.get("event") == "trial_resumed"]
    return int(resumed["step"])


def _go_on(step: int, loss: float) -> bool:
    return False


def _lasting(measured: Measurement) -> Measurement:
    return replace(measured, seconds={}, peak_bytes=0)
