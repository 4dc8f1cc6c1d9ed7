"""A study's files are looked at as a worker will, before anything is started."""

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pruning.container.description import describe
from rankspace import Study
from rankspace.errors import InvalidInput
from rankspace.recipe import Data, Inputs, Recipe
from tests.unit.tuning.chat_templates import ZEPHYR
from worker.trial import inspection
from worker.trial.inspection import inspect

Damage = Callable[[Path], object]


@pytest.fixture
def study(model_directory: Path, instruction_file: Path, tmp_path: Path) -> Study:
    """Of a model and data that may be damaged."""
    shutil.copytree(model_directory, tmp_path / "model")
    shutil.copyfile(instruction_file, tmp_path / "rows.jsonl")
    edited("config.json", max_position_embeddings=256)(tmp_path)
    data = Data(str(tmp_path / "rows.jsonl"), held_out=20)
    return Study("s", str(tmp_path / "model"), Recipe(data, sequence_length=240))


def rows(text: Any) -> Damage:
    return lambda place: (place / "rows.jsonl").write_text(text)


def edited(name: str, **changes: Any) -> Damage:
    def damage(place: Path) -> None:
        path = place / "model" / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return damage


def spoiled(name: str, value: float) -> Damage:
    def damage(place: Path) -> None:
        path = place / "model" / "model.safetensors"
        state = load_file(path)
        state[name].view(-1)[-1] = value
        save_file(state, path)

    return damage


def one_token_more(place: Path) -> None:
    path = place / "model" / "tokenizer.json"
    document = json.loads(path.read_text())
    pad = {**document["added_tokens"][0], "id": 258, "content": "[PAD]"}
    document["added_tokens"].append(pad)
    path.write_text(json.dumps(document))


def endless(place: Path) -> None:
    (place / "model" / "tokenizer_config.json").unlink()
    edited("config.json", eos_token_id=None)(place)
    edited("generation_config.json", eos_token_id=None)(place)


SHAREGPT = json.dumps({"conversations": [{"from": "human", "value": "hi"}]}) + "\n"
FEW = json.dumps({"instruction": "a", "output": "b"}) + "\n"
BAD = {
    "rows of another shape": (rows(SHAREGPT * 40), r"recipe\.data\.train, line 1"),
    "no text": (lambda place: (place / "rows.jsonl").write_bytes(b"caf\xe9" * 99), "UTF-8"),
    "too few rows": (rows(FEW * 6), r"recipe\.data\.held_out"),
    "no rows": (rows(""), r"recipe\.data\.held_out"),
    "a token without a row": (one_token_more, r"\[PAD\].*258 rows"),
    "no end token": (endless, "names none"),
    "lists that do not fit": (edited("config.json", layer_types=["x"] * 4), "layer_types"),
    "a rope nobody knows": (
        edited("config.json", rope_parameters={"rope_type": "nonsense"}),
        "transformers refuses",
    ),
    "a NaN": (spoiled("model.layers.2.mlp.down_proj.weight", torch.nan), "not numbers"),
    "an infinity": (spoiled("model.norm.weight", torch.inf), "not numbers"),
}


@pytest.mark.parametrize(("damage", "problem"), BAD.values(), ids=BAD)
def test_what_would_stop_every_trial_is_said_first(
    damage: Damage, problem: str, study: Study, tmp_path: Path
) -> None:
    damage(tmp_path)
    with pytest.raises(InvalidInput, match=f"(?s){problem}") as caught:
        inspect(study)
    assert caught.value.hint


def test_what_is_found_is_what_trials_will_state(study: Study) -> None:
    found = inspect(study)
    assert found.model == describe(Path(study.model))
    assert found.dataset is not None
    assert len(found.dataset.train) == 60
    assert None not in (found.inputs.data, found.inputs.tokenizer)
    assert inspect(replace(study, inputs=found.inputs)).inputs == found.inputs


def test_without_its_weights_all_else_is_found(study: Study, tmp_path: Path) -> None:
    whole = inspect(study)
    spoiled("model.norm.weight", torch.inf)(tmp_path)
    found = inspect(study, weights=False)
    assert found.model == replace(whole.model, fingerprint="")
    assert found.inputs == whole.inputs
    assert found.dataset is not None
    assert whole.dataset is not None
    assert found.dataset.counts == whole.dataset.counts


def test_a_study_that_names_its_inputs_is_held_to_them(study: Study, tmp_path: Path) -> None:
    named = replace(study, inputs=inspect(study).inputs)
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write(FEW)
    with pytest.raises(InvalidInput, match=r"inputs\.data = "):
        inspect(named)
    with pytest.raises(InvalidInput, match=r"inputs\.tokenizer = "):
        inspect(replace(study, inputs=Inputs(tokenizer="0" * 64)))


def test_a_large_file_is_hashed_and_not_read_row_by_row(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "MOST_BYTES", 100)
    (tmp_path / "rows.jsonl").write_text(SHAREGPT * 40)
    found = inspect(study)
    assert found.dataset is None
    assert found.inputs.data


TALKS = "".join(
    json.dumps(
        {
            "messages": [
                {"role": "user", "content": f"Say {i}"},
                {"role": "assistant", "content": f"It is {i}."},
            ]
        }
    )
    + "\n"
    for i in range(80)
)


@pytest.fixture
def talking(study: Study, tmp_path: Path) -> Study:
    """The same on conversations, with a chat template beside the tokenizer."""
    (tmp_path / "model" / "chat_template.jinja").write_text(ZEPHYR)
    rows(TALKS)(tmp_path)
    return replace(study, recipe=replace(study.recipe, data=replace(_data(study), format="chat")))


def _data(study: Study) -> Data:
    return study.recipe.data


def test_conversations_are_looked_at_with_the_model_s_template(talking: Study) -> None:
    dataset = inspect(talking).dataset
    assert dataset is not None
    assert (dataset.counts.shape, dataset.counts.rows, dataset.counts.cut) == ("messages", 80, 0)


def test_another_chat_template_is_another_tokenizer(talking: Study, tmp_path: Path) -> None:
    """Its examples are others, though it makes the same tokens of a text."""
    named = replace(talking, inputs=inspect(talking).inputs)
    assert inspect(named).inputs == named.inputs
    template = tmp_path / "model" / "chat_template.jinja"
    template.write_text(ZEPHYR.replace("user", "human", 1))
    with pytest.raises(InvalidInput, match=r"inputs\.tokenizer = "):
        inspect(named)


def test_a_model_without_a_chat_template_is_told_so(talking: Study, tmp_path: Path) -> None:
    (tmp_path / "model" / "chat_template.jinja").unlink()
    with pytest.raises(InvalidInput, match=r"recipe\.data\.format = 'chat'.*has none"):
        inspect(talking)


def test_a_packed_file_is_as_large_as_what_is_in_it(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "rows.jsonl.gz"
    content = (tmp_path / "rows.jsonl").read_bytes()
    packed.write_bytes(gzip.compress(content))
    given = replace(study.recipe, data=replace(_data(study), train=str(packed)))
    assert inspect(replace(study, recipe=given)).dataset is not None
    monkeypatch.setattr(inspection, "MOST_BYTES", len(content) - 1)
    assert inspect(replace(study, recipe=given)).dataset is None
