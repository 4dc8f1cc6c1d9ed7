"""The CPU's trial in bfloat16 on a GPU: same data, same order, about the same loss."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pruning.container.container import load
from rankspace import Assignment, Layer, Purpose, RankVector
from rankspace.recipe import Batch, Data, Optimizer, Recipe
from rankspace.trial import Split
from worker.trial.evaluation import Evaluator

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "stories260k"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
    pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there"),
]


def go_on(step: int, loss: float) -> bool:
    return False


def assignment() -> Assignment:
    described = load(DATA).description
    layers = tuple(Layer(m.name, m.parameters_per_rank, m.block) for m in described.matrices)
    recipe = Recipe(
        Data(str(DATA / "sample.txt"), "text", held_out=128),
        sequence_length=128,
        batch=Batch(examples=8, micro=8),
        optimizer=Optimizer(learning_rate=1e-3),
    )
    return Assignment(
        trial_id=1,
        token=1,
        study_id="gpu",
        study_name="gpu",
        purpose=Purpose.SEARCH,
        model_path=str(DATA),
        model_fingerprint=described.fingerprint,
        recipe=recipe,
        layers=layers,
        rank_vector=RankVector(tuple(i % 5 for i in range(len(layers)))),
        seed=0,
        steps=40,
        epochs=0,
        split=Split.SELECTION,
        keep_adapter=False,
        lease_seconds=60.0,
        heartbeat_seconds=20.0,
    )


def test_a_gpu_trial_in_bfloat16_agrees_with_the_cpu() -> None:
    trial = assignment()
    gpu = Evaluator(torch.device("cuda"))
    first, again = gpu.evaluate(trial, go_on), gpu.evaluate(trial, go_on)
    cpu = Evaluator(torch.device("cpu")).evaluate(trial, go_on)
    nothing = replace(trial, rank_vector=RankVector((0,) * len(trial.layers)))
    base = gpu.evaluate(nothing, go_on)
    assert first.parameters == cpu.parameters
    assert first.loss == pytest.approx(cpu.loss, abs=0.02)
    assert again.loss == pytest.approx(first.loss, abs=0.005)
    assert first.loss < base.loss
    assert 0 < first.peak_bytes < 2**31
