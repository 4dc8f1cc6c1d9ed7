"""The loop in bfloat16 on a GPU: equal back ends, one wait a step, memory that runs out."""

from dataclasses import replace

import pytest
import torch

from bench.gpu.checks import difference, recovered, waits
from bench.trials.task import QUICK, SMALL

GPU = torch.device("cuda")
BFLOAT16 = torch.bfloat16

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
]


def test_our_own_adapters_come_to_what_pefts_come_to() -> None:
    assert difference(SMALL, GPU, BFLOAT16) < 1e-3


def test_a_step_waits_for_the_device_once() -> None:
    assert waits(QUICK, GPU, BFLOAT16, steps=3) == 3


def test_where_memory_runs_out_passes_are_smaller_and_the_result_the_same() -> None:
    task = replace(SMALL, per_step=64)
    passes, apart = recovered(task, GPU, BFLOAT16)
    assert passes.examples < 64
    assert apart < 1e-2
