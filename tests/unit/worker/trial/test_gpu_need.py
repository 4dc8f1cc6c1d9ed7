"""What a trial takes of a GPU is the plan of its largest vector on its longest example."""

from dataclasses import replace
from pathlib import Path

import pytest

from pruning.container.contents import survey
from pruning.container.description import outline_of, shape_of
from rankspace import Study
from rankspace.granularity import module_ranks, per_matrix, search_space
from rankspace.recipe import Data, Recipe
from rankspace.study import Budget, Search, Survey
from tuning.memory_plan.device_memory import RESERVED
from tuning.memory_plan.plan import MemoryPlan
from tuning.memory_plan.training_shape import TrainingShape
from worker.trial.gpu_need import GpuNeed, gpu_need
from worker.trial.inspection import inspect
from worker.trial.planning import by_place

pytestmark = pytest.mark.slow

SEARCH = Search(ranks=(0, 1, 2, 8), budget=Budget(parameters="uniform:2"))


@pytest.fixture
def study(model_directory: Path, text_file: Path) -> Study:
    data = Data(str(text_file), format="text", held_out=20)
    return Study("s", str(model_directory), Recipe(data, sequence_length=32), SEARCH)


def ways(study: Study, rank: int, read: int, targets: int, width: int) -> tuple[int, int]:
    """Bytes of a training with one rank everywhere: all kept, and blocks computed twice."""
    contents = survey(Path(study.model))
    model = outline_of(contents)
    space = search_space(model, study.recipe.modules, study.search)
    layers, vector = per_matrix(space, space.constant(rank))
    ranks = module_ranks(layers, vector, [matrix.name for matrix in model.matrices])
    shape = shape_of(contents)
    training = TrainingShape(shape, by_place(model.matrices, ranks), read, targets, width)
    kept, twice = (MemoryPlan.of(training, "cuda", recomputes=it) for it in (False, True))
    return kept.use(1).total, twice.use(1).total


def planned(study: Study, rank: int, read: int, targets: int, width: int) -> float:
    """GiB of the way that takes less."""
    return (min(ways(study, rank, read, targets, width)) + RESERVED) / 2**30


def test_it_is_that_of_the_budget_in_the_type_of_a_gpu(study: Study) -> None:
    need = gpu_need(study, None)
    assert need.gib == planned(study, 2, 31, 31, 2)
    assert (need.tokens, need.is_looked_up, need.dtype) == (32, False, "bfloat16")
    as_said = replace(study, recipe=replace(study.recipe, dtype="float32"))
    assert gpu_need(as_said, None).gib == planned(study, 2, 31, 31, 4)


def test_a_survey_trains_the_highest_ranks(study: Study) -> None:
    surveyed = replace(study, search=replace(SEARCH, survey=Survey()))
    assert gpu_need(surveyed, None).gib == planned(study, 8, 31, 31, 2)


def test_shorter_examples_than_the_recipe_allows_take_less(study: Study, tmp_path: Path) -> None:
    """Their prompts are read and not predicted."""
    rows = "".join(f'{{"prompt": "say {i}: ", "completion": "{i}."}}\n' for i in range(60))
    (tmp_path / "rows.jsonl").write_text(rows)
    data = Data(str(tmp_path / "rows.jsonl"), format="completion", held_out=20)
    recipe = replace(study.recipe, data=data, sequence_length=128)
    asked = replace(study, recipe=recipe)
    dataset = inspect(asked, weights=False).dataset
    assert dataset is not None
    longest = max(len(example.tokens) for example in dataset.train)
    targets = max(example.targets for example in dataset.train)
    assert targets < longest - 1 < 127
    need = gpu_need(asked, dataset)
    assert need.gib == planned(asked, 2, longest - 1, targets, 2)
    assert need.gib < gpu_need(asked, None).gib
    assert f"one example of {longest} tokens (the longest one)" in need.sentence


def test_what_it_was_worked_out_from_is_said(study: Study) -> None:
    need: GpuNeed = gpu_need(study, None)
    assert "one example of 32 tokens (as long as the recipe allows)" in need.sentence
    for part in ("bfloat16", f"{need.trainable:,} trainable", "weights", "logits", "CUDA itself"):
        assert part in need.sentence


def test_where_blocks_computed_twice_take_less_that_counts_and_is_said(study: Study) -> None:
    """A worker does so where nothing else fits: no GPU is kept away that would manage."""
    long = replace(study, recipe=replace(study.recipe, sequence_length=64))
    kept, twice = ways(long, 2, 63, 63, 2)
    assert twice < kept
    need = gpu_need(long, None)
    assert (need.use.total, need.is_recomputed) == (twice, True)
    assert "bfloat16, blocks computed twice, " in need.sentence
