import ast
import json
import re
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from peft import PeftModel

from pruning.container.container import load
from rankspace import Assignment, Measurement, RankVector
from rankspace.errors import CannotOpen, TrialFailed
from rankspace.lease import ADAPTER_FILES
from rankspace.recipe import Data, Optimizer
from rankspace.trial import Split
from tuning.back_ends import DEFAULT_BACK_END
from tuning.data import prepare
from tuning.measuring import mean_loss
from worker.trial.evaluation import Evaluator
from worker.trial.export import readme_of

pytestmark = pytest.mark.slow

Assign = Callable[..., Assignment]
CPU = torch.device("cpu")


def go_on(step: int, loss: float) -> bool:
    return False


def test_a_measurement_states_what_was_done(assign: Assign, evaluator: Evaluator) -> None:
    found = evaluator.evaluate(assign(), go_on)
    assert found.score == -found.loss
    assert found.steps == 6
    assert found.tokens == 6 * 8 * 32
    assert found.parameters == assign().rank_vector.parameters(
        [layer.parameters_per_rank for layer in assign().layers]
    )
    assert list(found.seconds) == ["load", "attach", "train", "evaluate"]
    assert found.peak_bytes > 10_000_000
    assert {"torch", "peft", "transformers"} <= found.versions.keys()
    assert found.versions["adapters"] == DEFAULT_BACK_END
    loaded = load(Path(assign().model_path))
    counts = prepare(assign().recipe.data, 32, loaded.tokenizer).counts
    assert found.data == replace(counts, positions=128)
    assert (counts.selection, counts.final, counts.dropped) == (10, 10, 0)


def test_equal_assignments_give_equal_bits(assign: Assign, evaluator: Evaluator) -> None:
    first = evaluator.evaluate(assign(), go_on)
    other = evaluator.evaluate(assign(rank_vector=RankVector((3,) * 21), seed=5), go_on)
    again = evaluator.evaluate(assign(), go_on)
    fresh = Evaluator(CPU).evaluate(assign(), go_on)
    assert (first.loss, first.train_loss) == (again.loss, again.train_loss)
    assert first.loss == fresh.loss
    assert other.loss != first.loss


def test_ranks_do_not_change_the_first_loss(assign: Assign, evaluator: Evaluator) -> None:
    """Paired: same data order, and an adapter that starts at zero."""
    seen: list[list[float]] = []
    for ranks in ((1,) * 21, (4,) * 21):
        losses: list[float] = []

        def note(step: int, loss: float, losses: list[float] = losses) -> bool:
            losses.append(loss)
            return False

        evaluator.evaluate(assign(rank_vector=RankVector(ranks)), note)
        seen.append(losses)
    assert seen[0][0] == seen[1][0]
    assert seen[0][-1] != seen[1][-1]


def test_every_rank_zero_measures_the_base(
    assign: Assign, evaluator: Evaluator, tmp_path: Path
) -> None:
    nothing = assign(rank_vector=RankVector((0,) * 21), keep_adapter=True)
    found = evaluator.evaluate(nothing, go_on, tmp_path)
    loaded = load(Path(nothing.model_path))
    dataset = prepare(nothing.recipe.data, 32, loaded.tokenizer)
    expected = mean_loss(loaded.model, dataset.held_out[Split.SELECTION], CPU)
    assert found.loss == expected
    assert (found.steps, found.parameters, found.tokens) == (0, 0, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_the_split_decides_what_is_scored(assign: Assign, evaluator: Evaluator) -> None:
    selection = evaluator.evaluate(assign(), go_on)
    final = evaluator.evaluate(assign(split=Split.FINAL), go_on)
    assert selection.train_loss == final.train_loss
    assert selection.loss != final.loss


def test_zero_steps_are_the_recipes_epochs(assign: Assign, evaluator: Evaluator) -> None:
    found = evaluator.evaluate(assign(steps=0, epochs=1), go_on)
    loaded = load(Path(assign().model_path))
    examples = prepare(assign().recipe.data, 32, loaded.tokenizer).train
    assert found.steps == len(examples) // 8


def test_an_early_stop_reports_what_there_is(assign: Assign, evaluator: Evaluator) -> None:
    assert evaluator.evaluate(assign(), lambda step, _: step == 2).steps == 2


def test_instructions_train_too(
    assign: Assign, evaluator: Evaluator, instruction_file: Path
) -> None:
    recipe = replace(
        assign().recipe, data=Data(str(instruction_file), held_out=20), sequence_length=240
    )
    found = evaluator.evaluate(assign(recipe=recipe, steps=4), go_on)
    base = evaluator.evaluate(assign(recipe=recipe, rank_vector=RankVector((0,) * 21)), go_on)
    assert found.loss < base.loss


def test_another_model_than_submitted_names_both(assign: Assign, evaluator: Evaluator) -> None:
    wrong = assign(model_fingerprint="0" * 64)
    with pytest.raises(CannotOpen, match=f"(?s){assign().model_fingerprint}.*{'0' * 64}"):
        evaluator.evaluate(wrong, go_on)


def test_an_unreadable_model_is_the_callers_to_fix(assign: Assign, tmp_path: Path) -> None:
    with pytest.raises(CannotOpen, match=r"config\.json"):
        Evaluator(CPU).evaluate(assign(model_path=str(tmp_path)), go_on)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_what_is_wrong_with_a_model_is_told_without_its_content(
    assign: Assign, tmp_path: Path, name: str
) -> None:
    """A directory that a study names may be anybody's."""
    copy = Path(shutil.copytree(assign().model_path, tmp_path / "model"))
    length = (9).to_bytes(8, "little") if name == "model.safetensors" else b""
    (copy / name).write_bytes(length + b"secret123")
    with pytest.raises(CannotOpen, match=name.partition(".")[0]) as caught:
        Evaluator(CPU).evaluate(assign(model_path=str(copy)), go_on)
    assert "secret" not in f"{caught.value.detail} {caught.value.hint}"


BAD_ROWS = '{"conversations": []}\n' * 99
USELESS = {
    "too few to hold any out": (Data("x", "text", 10_000), "once upon a time " * 99, "held_out"),
    "rows of another shape": (Data("x", held_out=4), BAD_ROWS, "train, line 1"),
    "JSON as text": (Data("x", "text", 4), BAD_ROWS, "train, line 1"),
    "no text": (Data("x", "text", 4), "\0" * 99, "train"),
}


@pytest.mark.parametrize(("data", "text", "field"), USELESS.values(), ids=USELESS)
def test_data_of_no_use_are_no_fault_of_the_trial(
    assign: Assign, evaluator: Evaluator, tmp_path: Path, data: Data, text: str, field: str
) -> None:
    """Learned as a failure of its ranks, it cost a study point after point until none was left."""
    (tmp_path / "data").write_text(text)
    recipe = replace(assign().recipe, data=replace(data, train=str(tmp_path / "data")))
    with pytest.raises(CannotOpen) as caught:
        evaluator.evaluate(assign(recipe=recipe), go_on)
    assert caught.value.field == f"recipe.data.{field}"
    assert caught.value.hint


@pytest.mark.parametrize("field", ["model_path", "recipe.data.train"])
def test_what_is_out_of_reach_is_not_opened(assign: Assign, field: str) -> None:
    data = replace(assign().recipe.data, train="/proc/self/environ")
    named = {
        "model_path": assign(model_path="/proc/self"),
        "recipe.data.train": assign(recipe=replace(assign().recipe, data=data)),
    }
    with pytest.raises(CannotOpen, match=f"{re.escape(field)} = '/proc/.*roots"):
        Evaluator(CPU).evaluate(named[field], go_on)


def test_a_model_too_large_for_this_device_is_no_fault_of_the_trial(
    assign: Assign, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("tried to allocate 80 GiB")

    monkeypatch.setattr("worker.trial.resident.load_contents", full)
    with pytest.raises(CannotOpen, match="80 GiB"):
        Evaluator(CPU).evaluate(assign(), go_on)


def test_a_failed_trial_leaves_the_model_as_it_was(assign: Assign) -> None:
    evaluator = Evaluator(CPU)
    first = evaluator.evaluate(assign(), go_on)
    wild = replace(
        assign().recipe, optimizer=Optimizer(learning_rate=1e30, warmup_steps=0, gradient_clip=1e9)
    )
    with pytest.raises(TrialFailed, match="loss is"):
        evaluator.evaluate(assign(recipe=wild), go_on)
    assert evaluator.evaluate(assign(), go_on).loss == first.loss


@pytest.mark.parametrize("loss", [1e7, -0.1])
def test_a_loss_that_is_none_fails_the_trial(
    assign: Assign, evaluator: Evaluator, monkeypatch: pytest.MonkeyPatch, loss: float
) -> None:
    monkeypatch.setattr("worker.trial.evaluation.mean_loss", lambda *_: loss)
    with pytest.raises(TrialFailed, match=re.escape(f"held-out loss is {loss:g}")):
        evaluator.evaluate(assign(), go_on)


def test_a_recovery_is_not_begun_where_its_adapter_finds_no_room(
    assign: Assign, evaluator: Evaluator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: used._replace(free=1 << 20))
    steps: list[int] = []

    def noted(step: int, loss: float) -> bool:
        steps.append(step)
        return False

    with pytest.raises(CannotOpen, match="has 1 MiB left") as refused:
        evaluator.evaluate(assign(keep_adapter=True), noted, tmp_path / "a.adapter")
    assert "RANKADAPTOR_SPOOL_DIRECTORY" in refused.value.hint
    assert steps == []
    evaluator.evaluate(assign(), noted, tmp_path / "a.adapter")


def test_a_changed_base_is_found_and_loaded_anew(assign: Assign) -> None:
    evaluator = Evaluator(CPU)
    first = evaluator.evaluate(assign(), go_on)

    def spoil(step: int, loss: float) -> bool:
        resident: Any = evaluator._residence._resident
        with torch.no_grad():
            resident.model.model.norm.weight.add_(1e-6)
        return False

    with pytest.raises(TrialFailed, match=r"changed the base model: model\.norm\.weight"):
        evaluator.evaluate(assign(), spoil)
    assert evaluator.evaluate(assign(), go_on).loss == first.loss


def test_the_export_reloads_with_plain_peft(
    assign: Assign, evaluator: Evaluator, tmp_path: Path
) -> None:
    kept = assign(keep_adapter=True, rank_vector=RankVector(tuple(i * 5 % 7 for i in range(21))))
    found = evaluator.evaluate(kept, go_on, tmp_path / "adapter")
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == sorted(ADAPTER_FILES)
    loaded = load(Path(kept.model_path))
    held_out = prepare(kept.recipe.data, 32, loaded.tokenizer).held_out[Split.SELECTION]
    base = mean_loss(loaded.model, held_out, CPU)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        PeftModel.from_pretrained(loaded.model, str(tmp_path / "adapter"))
    reloaded = mean_loss(loaded.model, held_out, CPU)
    assert reloaded == pytest.approx(found.loss, abs=1e-5)
    assert base - reloaded > 0.01


def test_the_export_says_what_it_is(assign: Assign, evaluator: Evaluator, tmp_path: Path) -> None:
    evaluator.evaluate(assign(keep_adapter=True), go_on, tmp_path)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    adapted = [
        layer.name
        for layer, rank in zip(assign().layers, assign().rank_vector.ranks, strict=True)
        if rank
    ]
    assert config["target_modules"] == sorted(adapted)
    assert config["base_model_name_or_path"] == assign().model_path
    assert len(config["rank_pattern"]) == len(config["alpha_pattern"]) == len(adapted)
    readme = (tmp_path / "README.md").read_text()
    assert f"| `{adapted[0]}` | 1 |" in readme
    assert assign().model_fingerprint in readme


def test_the_snippet_in_the_export_runs_as_it_stands(
    assign: Assign, evaluator: Evaluator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = assign(keep_adapter=True, rank_vector=RankVector(tuple(i * 5 % 7 for i in range(21))))
    found = evaluator.evaluate(kept, go_on, tmp_path)
    (snippet,) = re.findall("```python\n(.*?)```", (tmp_path / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    made: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        exec(snippet, made)
    tokenizer = load(kept.model_path).tokenizer
    held_out = prepare(kept.recipe.data, 32, tokenizer).held_out[Split.SELECTION]
    assert mean_loss(made["model"], held_out, CPU) == pytest.approx(found.loss, abs=1e-5)


@pytest.mark.parametrize("path", ['/a "b"/c', "/a: b #c", "/über/目标", "/a\\b", "/{x}", "/a'b"])
def test_the_model_card_names_any_path(assign: Assign, path: str) -> None:
    found = Measurement(-1.0, 1.0, 1.5, 3, 100, 20)
    card = readme_of(assign(model_path=path), found, {"q_proj": 1})
    assert yaml.safe_load(card.split("---")[1])["base_model"] == path
    (literal,) = re.findall(r"load\((.*)\)\.model", card)
    assert ast.literal_eval(literal) == path
