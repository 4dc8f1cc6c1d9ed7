"""The command for GPUs on a CPU: its parts run on tiny shapes, and without a GPU it says so."""

import math
import time
from dataclasses import replace
from typing import Any

import pytest
import torch

from bench.gpu import __main__ as command
from bench.gpu.checks import difference, waits
from bench.gpu.throughput import Load, Speed, measure, peak_of, sizes
from bench.memory import WARM, Found, make_model, pruned_blocks
from bench.trials.task import Task
from tuning.memory_plan.device_memory import DeviceMemory

CPU = torch.device("cpu")
TINY = Task(64, 2, 96, 128, 16, 8, 2, 3)


def test_without_a_gpu_one_line_says_so_and_the_exit_code_is_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("sys.argv", ["gpu"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command.main() == command.NO_GPU
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_back_ends_are_compared(dtype: torch.dtype, most: float) -> None:
    assert difference(TINY, CPU, dtype) < most


def test_waits_are_counted_of_steps_with_several_passes() -> None:
    assert waits(TINY, CPU, torch.float32, steps=2) == 2


def test_a_model_is_timed_in_passes_that_fit() -> None:
    load = Load(rank=2, examples=4, length=16, steps=1)
    found = measure(WARM, load, CPU, torch.float32)
    assert isinstance(found, Speed)
    assert found.passes.examples == 4
    weights = sum(one.numel() for one in make_model(WARM, torch.float32, "cpu").parameters())
    product = weights - WARM.vocabulary * WARM.hidden  # reading the embedding multiplies nothing
    per_token = found.operations_per_second / found.tokens_per_second
    assert per_token == pytest.approx(4 * product)
    assert 0 < found.trials_per_hour < 3600 * found.tokens_per_second / (200 * 4 * 16)
    said = command.speed(found, 2 * found.operations_per_second)
    assert "50% of the peak" in said["found"]


def test_a_model_that_does_not_fit_is_left_out_with_the_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(DeviceMemory, "of", lambda _: DeviceMemory("small", 2**20, 2**20))
    found = measure(WARM, Load(), CPU, torch.float32)
    assert isinstance(found, str)
    assert "where 1 MiB are free" in command.speed(found, 1.0)["left out"]


def test_models_are_pruned_by_what_their_names_say() -> None:
    whole = {name: blocks_of(size) for name, size in sizes().items()}
    for name in ("1B", "8B"):
        dense, *pruned = (whole[f"{name} {how}"] for how in ("dense", "20 % pruned", "50 % pruned"))
        shares = [1 - one / dense for one in pruned]
        assert shares == pytest.approx([0.2, 0.5], abs=0.01)


def blocks_of(size: Any) -> int:
    """Channels of all feed-forward layers."""
    return sum(block.ffn for block in pruned_blocks(size))


def test_a_part_that_is_too_late_or_fails_is_said() -> None:
    def broken() -> dict[str, Any]:
        raise RuntimeError("shapes do not match")

    now = time.monotonic()
    assert command.run_part(broken, now - 1) == {"left out": "no time"}
    assert "shapes do not match" in command.run_part(broken, now + 60)["failed"]
    assert command.run_part(dict, now + 60)["seconds"] < 60


def test_peaks_are_known_by_name_or_said() -> None:
    assert peak_of("NVIDIA H200", None) == 989e12
    assert peak_of("NVIDIA H200", 100.0) == 1e14
    assert math.isnan(peak_of("another", None))


def test_a_plan_that_is_off_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Found(weights=100, planned=220, measured=200)
    monkeypatch.setattr(command, "apart", lambda *_: found)
    assert "failed" not in command.plan("any")
    monkeypatch.setattr(command, "apart", lambda *_: replace(found, planned=231))
    assert "+15.5%" in command.plan("any")["failed"]
