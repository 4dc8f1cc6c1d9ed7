import json
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file

from pruning.container.container import LoadedModel, load_contents
from rankadaptor.evaluation.evaluation import Counted, Evaluation, evaluate_subjects
from rankadaptor.evaluation.questions import read_questions
from rankadaptor.evaluation.report import mean_difference, report
from rankadaptor.evaluation.subject import Subject, told_apart
from rankadaptor.evaluation.view import evaluation_view
from rankspace.errors import InvalidInput
from rankspace.wire import encode
from tuning.evaluation.document import Document
from tuning.evaluation.paired import PairedDifference
from tuning.evaluation.task_score import ScoredDocument

STORIES = Path(__file__).parents[4].parent / "shared" / "data" / "stories260k"
ROW = {"context": "the cat sat on the", "choices": ["mat", "under"], "answer": 0}


@contextmanager
def uncounted(label: str, total: int) -> Iterator[Any]:
    yield lambda done, total: None


def evaluated(
    models: tuple[Path, ...],
    text: Path,
    tasks: tuple[Path, ...] = (),
    *,
    begins: bool = False,
) -> tuple[Evaluation, ...]:
    questions = read_questions([str(text)], [16], tasks, limit=2, begins=begins)
    counted: Counted = uncounted
    found, failure = evaluate_subjects(
        [*map(Subject, models)], questions, torch.device("cpu"), counted
    )
    assert failure is None
    return found


def shown(*given: Any) -> str:
    console = Console(width=300)
    with console.capture() as capture:
        console.print(evaluation_view(*given))
    return " ".join(capture.get().split())


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
    narrow = "".join(capture.get().split())
    assert "…" not in narrow
    assert "text.txt" in narrow
    assert f"{one.perplexities[0].value:.2f}±{one.perplexities[0].error:.2f}" in narrow


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


def test_each_metric_is_reported_as_itself(
    model_directory: Path, text_file: Path, tmp_path: Path
) -> None:
    task = tmp_path / "task.jsonl"
    task.write_text(json.dumps(ROW) + "\n")
    (one,) = evaluated((model_directory,), text_file, (task,))
    row = Document("line 1", ("a",) * 2, (" b", " cccccc"), ("b", "cccccc"), 1)
    scored = ScoredDocument(row, (-2.0, -3.0))  # the longer one is worth more by its characters
    told = replace(one, tasks=(replace(one.tasks[0], documents=(scored,), rows=1),))
    metrics = report(told, None)["evaluation"]["tasks"][0]["metrics"]
    assert [metrics[name]["value"] for name in ("acc", "acc_norm")] == [0, 1]


def test_what_was_cut_or_taken_for_control_tokens_is_shown_and_of_which_model(
    model_directory: Path, text_file: Path, tmp_path: Path
) -> None:
    task, text = tmp_path / "task.jsonl", tmp_path / "spells.txt"
    context = "the cat <s> sat " * 60
    task.write_text(json.dumps(ROW | {"context": context}) + "\n")
    text.write_text("<s> " + text_file.read_text())
    (one,) = evaluated((model_directory,), text, (task,))
    found = report(one, None)["evaluation"]
    assert found["tasks"][0]["contexts_cut"] == 2
    assert found["tasks"][0]["control_tokens_spelled"] == 60
    said, name = shown(one, None), one.subject.name
    assert f"task: 2 contexts lost their beginning, longer than {name}" in said
    assert f"task spells 60 control tokens of {name}" in said
    assert "spells.txt spells 1 control tokens" in said
    assert "task plain 1" in said  # as what it was read


def test_a_token_begins_every_context_where_it_is_asked_for(
    model_directory: Path, text_file: Path, tmp_path: Path
) -> None:
    task = tmp_path / "task.jsonl"
    task.write_text(json.dumps(ROW) + "\n")
    scores = [
        evaluated((model_directory,), text_file, (task,), begins=begins)[0].tasks[0].documents
        for begins in (False, True)
    ]
    assert scores[0][0].scores != scores[1][0].scores


def test_a_loss_beyond_any_perplexity_is_shown_as_a_loss(
    model_directory: Path, text_file: Path
) -> None:
    (one,) = evaluated((model_directory,), text_file)
    lost = replace(one, perplexities=(replace(one.perplexities[0], losses=(900.0, 902.0)),))
    found = report(lost, lost)
    json.dumps(encode(found), allow_nan=False)
    text = found["evaluation"]["perplexity"][0]
    assert (text["perplexity"], text["error"], text["mean_loss"]) == (None, None, 901.0)
    assert "text.txt: the mean loss of windows of 16 is 901.0 nats" in shown(lost, lost)
    assert "no whole window" not in shown(lost, lost)


def test_files_of_one_name_are_told_apart_and_compared_each_with_itself(
    model_directory: Path, text_file: Path, tmp_path: Path
) -> None:
    for name, text in (("a", "the cat sat on the mat " * 9), ("b", "a dog ran " * 9)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "text.txt").write_text(text)
        (tmp_path / name / "validation.jsonl").write_text(json.dumps(ROW) + "\n")
    tasks = [tmp_path / name / "validation.jsonl" for name in "ab"]
    texts = [str(tmp_path / name / "text.txt") for name in "ab"]
    questions = read_questions(texts, [16], tasks, limit=2, begins=False)
    assert [text.name for text in questions.texts] == ["a/text.txt", "b/text.txt"]
    assert [task.name for task in questions.tasks] == ["a/validation", "b/validation"]
    subjects = [Subject(model_directory)] * 2
    (one, other), _ = evaluate_subjects(subjects, questions, torch.device("cpu"), uncounted)
    differences = report(one, other)["differences"]["perplexity"]
    assert [found["mean_loss"].mean for found in differences] == [0, 0]
    assert [found["form"] for found in differences] == ["plain", "plain"]
    assert "is not compared" not in shown(one, other)
    again = str(tmp_path / "b" / ".." / "a" / "text.txt")
    with pytest.raises(InvalidInput, match="named twice"):
        read_questions([texts[0], again], [16], [], limit=None, begins=False)


def test_tasks_that_differ_in_their_ending_only_keep_it(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.json", "b.jsonl"):
        (tmp_path / name).write_text(json.dumps(ROW) + "\n")
    (tmp_path / "notes.md").write_text("x")
    questions = read_questions([], [], [tmp_path], limit=None, begins=False)
    assert [task.name for task in questions.tasks] == ["a.json", "a.jsonl", "b"]
    assert [path.name for path in questions.left] == ["notes.md"]


def test_what_is_finished_is_kept_when_the_rest_fails(
    model_directory: Path, text_file: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    copytree(model_directory, broken)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], torch.inf)
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    questions = read_questions([str(text_file)], [16, 32], [], limit=2, begins=False)
    subjects = [Subject(model_directory), Subject(broken)]
    found, failure = evaluate_subjects(subjects, questions, torch.device("cpu"), uncounted)
    assert [one.subject for one in found] == subjects[:1]
    assert isinstance(failure, InvalidInput)
    told = report(found[0], None, failure)
    assert told["failure"]["error"] == "InvalidContainer"
    assert "NOT FINISHED, the rest failed: model.norm.weight" in shown(found[0], None, failure)
    with pytest.raises(InvalidInput, match="NaN"):
        evaluate_subjects(subjects[1:], questions, torch.device("cpu"), uncounted)


def test_a_model_that_fails_half_way_keeps_its_first_half(
    model_directory: Path, text_file: Path
) -> None:
    @contextmanager
    def failing(label: str, total: int) -> Iterator[Any]:
        if label.endswith("32"):
            raise InvalidInput("device", "cpu", "has too little memory", fix="take a larger one")
        yield lambda done, total: None

    questions = read_questions([str(text_file)], [16, 32], [], limit=2, begins=False)
    subjects = [Subject(model_directory)]
    (one,), failure = evaluate_subjects(subjects, questions, torch.device("cpu"), failing)
    assert [found.window for found in one.perplexities] == [16]
    assert isinstance(failure, InvalidInput)


def test_models_of_one_name_are_told_apart() -> None:
    a, b = Path("/a/model"), Path("/b/model")
    named = [one.name for one in told_apart([Subject(a), Subject(b)])]
    assert named == ["a/model", "b/model"]
    beside = [Subject(a, Path("/x/adapter")), Subject(a, Path("/y/adapter"))]
    assert [one.name for one in told_apart(beside)] == ["model + x/adapter", "model + y/adapter"]
    assert [one.name for one in told_apart([Subject(a), Subject(a)])] == ["model", "model"]
