import json
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from rich.console import Console

from pruning.container.container import LoadedModel, load_contents
from rankadaptor.evaluation.evaluation import Counted, Evaluation, evaluate_subjects
from rankadaptor.evaluation.questions import read_questions
from rankadaptor.evaluation.report import mean_difference, report
from rankadaptor.evaluation.subject import Subject
from rankadaptor.evaluation.view import evaluation_view
from tuning.evaluation.paired import PairedDifference

STORIES = Path(__file__).parents[4].parent / "shared" / "data" / "stories260k"
ROW = {"context": "the cat sat on the", "choices": ["mat", "under"], "answer": 0}


@contextmanager
def uncounted(label: str, total: int) -> Iterator[Any]:
    yield lambda done, total: None


def evaluated(
    models: tuple[Path, ...], text: Path, tasks: tuple[Path, ...] = ()
) -> tuple[Evaluation, ...]:
    questions = read_questions([str(text)], [16], tasks, limit=2, begins=False)
    counted: Counted = uncounted
    return evaluate_subjects([*map(Subject, models)], questions, torch.device("cpu"), counted)


def test_the_mean_of_differences_is_their_mean_and_errors_add_up() -> None:
    both = [PairedDifference(0.2, 0.3, 5), PairedDifference(0.4, 0.4, 5)]
    assert mean_difference(both) == pytest.approx((0.3, 0.25))


def test_models_that_tokenise_a_text_otherwise_are_shown_and_not_compared(
    model_directory: Path, text_file: Path, tmp_path: Path
) -> None:
    if not STORIES.is_dir():
        pytest.skip(f"no model in {STORIES}")
    task = tmp_path / "task.jsonl"
    task.write_text(json.dumps(ROW) + "\n")
    one, other = evaluated((model_directory, STORIES), text_file, (task,))
    found = report(one, other)
    assert found["differences"]["perplexity"][0]["mean_loss"] is None
    assert found["against"]["perplexity"][0]["perplexity"] > 1
    assert found["differences"]["tasks"][0]["metrics"]["acc"].items == 1
    console = Console(width=200)
    with console.capture() as capture:
        console.print(evaluation_view(one, other))
    assert "text.txt is not compared: the two models tokenise it otherwise" in capture.get()


def test_a_narrow_window_hides_no_name_and_no_number(
    model_directory: Path, text_file: Path, tmp_path: Path
) -> None:
    task = tmp_path / "a_task_with_a_name_that_is_long.jsonl"
    task.write_text((json.dumps(ROW) + "\n") * 3)
    one, other = evaluated((model_directory, model_directory), text_file, (task,))
    console = Console(width=80)
    with console.capture() as capture:
        console.print(evaluation_view(one, other))
    shown = "".join(capture.get().split())
    assert "…" not in shown
    assert "text.txt" in shown
    assert f"{one.perplexities[0].value:.2f}±{one.perplexities[0].error:.2f}" in shown


def test_one_model_at_a_time_is_in_memory(
    model_directory: Path, text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    copytree(model_directory, copy)
    seen: list[weakref.ref[Any]] = []
    alive: list[int] = []

    def loads(*given: Any, **named: Any) -> LoadedModel:
        alive.append(sum(model() is not None for model in seen))
        loaded = load_contents(*given, **named)
        seen.append(weakref.ref(loaded.model))
        return loaded

    monkeypatch.setattr("rankadaptor.evaluation.evaluation.load_contents", loads)
    evaluated((model_directory, copy), text_file)
    assert alive == [0, 0]
