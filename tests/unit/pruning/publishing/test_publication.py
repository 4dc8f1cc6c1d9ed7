from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from pruning.cards.licence import Licence
from pruning.container import container
from pruning.publishing.adapter import read_adapter
from pruning.publishing.card import Origin
from pruning.publishing.form import Form
from pruning.publishing.merging import merge
from pruning.publishing.publication import publish
from rankspace.errors import InvalidContainer, InvalidInput
from rankspace.lease import CONFIG, WEIGHTS
from tests.unit.pruning.publishing.conftest import Recovered, logits_of

pytestmark = pytest.mark.slow

NEAR = 2e-4


def test_a_container_answers_as_the_model_with_its_adapter(
    uneven: Recovered, tmp_path: Path
) -> None:
    before = logits_of(container.load(uneven.source).model)
    published = publish(
        uneven.source, uneven.adapter, tmp_path / "c", Form.CONTAINER, uneven.origin
    )
    merged = container.load(tmp_path / "c")
    assert (before - uneven.logits).abs().max() > 0.1
    torch.testing.assert_close(logits_of(merged.model), uneven.logits, rtol=0.0, atol=NEAR)
    assert merged.structure == container.load(uneven.source).structure
    assert tmp_path / "c" / "pruned.json" in published.files


def test_blocks_of_one_size_become_an_ordinary_model(even: Recovered, tmp_path: Path) -> None:
    publish(even.source, even.adapter, tmp_path / "m", Form.MERGED, even.origin)
    stock = AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    torch.testing.assert_close(logits_of(stock), even.logits, rtol=0.0, atol=NEAR)
    text = "Once upon a time"
    expected = container.load(even.source).tokenizer(text)["input_ids"]
    assert AutoTokenizer.from_pretrained(tmp_path / "m")(text)["input_ids"] == expected


def test_blocks_that_differ_have_no_ordinary_form(uneven: Recovered, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="blocks 0 and 1 differ") as caught:
        publish(uneven.source, uneven.adapter, tmp_path / "m", Form.MERGED, uneven.origin)
    assert "--format container" in caught.value.hint
    assert not (tmp_path / "m").exists()


def test_biases_that_no_config_announces_have_none_either(
    stories: Path, even: Recovered, tmp_path: Path
) -> None:
    loaded = container.load(even.source)
    for block in loaded.model.model.layers:
        bias = torch.zeros_like(block.mlp.down_proj.weight[:, 0])
        block.mlp.down_proj.bias = torch.nn.Parameter(bias, requires_grad=False)
    target = tmp_path / "biased"
    made = container.write(loaded.model, loaded.tokenizer, target, provenance={})
    origin = replace(even.origin, fingerprint=made.fingerprint)
    with pytest.raises(InvalidInput, match="biases of down_proj"):
        publish(target, even.adapter, tmp_path / "m", Form.MERGED, origin)


def test_an_adapter_of_another_model_changes_nothing(uneven: Recovered, tmp_path: Path) -> None:
    origin = replace(uneven.origin, fingerprint="0" * 64)
    with pytest.raises(InvalidInput, match="is another model"):
        publish(uneven.source, uneven.adapter, tmp_path / "c", Form.CONTAINER, origin)
    assert not (tmp_path / "c").exists()


def test_shapes_that_do_not_fit_are_named(
    uneven: Recovered, even: Recovered, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=r"layers\.\d.*shape|no such matrix"):
        publish(uneven.source, even.adapter, tmp_path / "c", Form.CONTAINER, uneven.origin)


def test_weights_may_be_written_in_another_type(even: Recovered, tmp_path: Path) -> None:
    target = tmp_path / "m"
    half = torch.bfloat16
    publish(even.source, even.adapter, target, Form.MERGED, even.origin, dtype=half)
    publish(even.source, even.adapter, tmp_path / "whole", Form.MERGED, even.origin)
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "whole").state_dict()
    halved = AutoModelForCausalLM.from_pretrained(target).state_dict()
    assert halved.keys() == whole.keys()
    assert all(torch.equal(halved[name], tensor.to(half)) for name, tensor in whole.items())


def test_no_adapter_leaves_the_model_as_it_is(even: Recovered, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    publish(even.source, tmp_path / "none", tmp_path / "m", Form.MERGED, even.origin)
    stock = AutoModelForCausalLM.from_pretrained(tmp_path / "m")
    assert torch.equal(logits_of(stock), logits_of(container.load(even.source).model))


def test_the_card_says_what_it_is_of(even: Recovered, tmp_path: Path) -> None:
    origin = replace(even.origin, licence=Licence(("mit",)))
    publish(even.source, even.adapter, tmp_path / "m", Form.MERGED, origin)
    _, head, body = (tmp_path / "m" / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(head)["license"] == "mit"
    for part in (origin.fingerprint, origin.adapter, "## Verdict", '"steps": 3', "float32"):
        assert part in body


def test_what_lies_there_stays(even: Recovered, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "mine").write_text("")
    with pytest.raises(InvalidContainer, match="is not empty"):
        publish(even.source, even.adapter, tmp_path / "m", Form.MERGED, even.origin)
    assert [path.name for path in (tmp_path / "m").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("use_dora", True), ("peft_type", "IA3"), ("bias", "all"), ("r", "x"), ("alpha_pattern", 7)],
)
def test_what_is_no_plain_lora_is_refused(
    even: Recovered, tmp_path: Path, field: str, value: object
) -> None:
    config = yaml.safe_load((even.adapter / CONFIG).read_text())
    changed = {**config, "rank_pattern": {}, field: value}
    (even.adapter / CONFIG).write_text(yaml.safe_dump(changed, default_flow_style=True))
    with pytest.raises((InvalidInput, InvalidContainer)):
        publish(even.source, even.adapter, tmp_path / "m", Form.MERGED, even.origin)


def test_damaged_weights_are_named(even: Recovered, tmp_path: Path) -> None:
    tensors = load_file(even.adapter / WEIGHTS)
    name = next(iter(tensors))
    save_file({**tensors, name: tensors[name] * float("nan")}, even.adapter / WEIGHTS)
    with pytest.raises(InvalidInput, match="NaN"):
        publish(even.source, even.adapter, tmp_path / "m", Form.MERGED, even.origin)
    (even.adapter / WEIGHTS).write_bytes(b"x")
    with pytest.raises(InvalidInput, match="cannot be read"):
        publish(even.source, even.adapter, tmp_path / "m", Form.MERGED, even.origin)


def test_what_a_type_cannot_hold_is_named(even: Recovered, tmp_path: Path) -> None:
    origin = _with_weight(even, tmp_path / "big", 1e5)
    for form in (Form.MERGED, Form.GGUF):
        with pytest.raises(InvalidInput, match=r"up_proj.*holds 100000, which float16 does not"):
            publish(
                tmp_path / "big", even.adapter, tmp_path / "m", form, origin, dtype=torch.float16
            )
        assert not (tmp_path / "m").exists()


def test_finite_sides_may_have_an_infinite_product(even: Recovered, tmp_path: Path) -> None:
    tensors = {name: tensor * 1e30 for name, tensor in load_file(even.adapter / WEIGHTS).items()}
    save_file(tensors, even.adapter / WEIGHTS)
    with pytest.raises(InvalidInput, match="float32 does not"):
        publish(even.source, even.adapter, tmp_path / "m", Form.MERGED, even.origin)


def test_wide_weights_are_not_rounded_on_the_way(even: Recovered) -> None:
    model: Any = container.load(even.source).model
    model.double()
    adapter = read_adapter(even.adapter)
    name, low = next(iter(adapter.items()))
    weight = model.get_submodule(name).weight
    weight.data = weight.data + 1e-12
    expected = weight.data + low.scale * (low.second.double() @ low.first.double())
    merge(model, adapter)
    torch.testing.assert_close(weight.data, expected, rtol=0.0, atol=1e-15)


@pytest.mark.parametrize("form", [Form.MERGED, Form.GGUF])
def test_another_container_is_replaced_by_a_container_alone(
    form: Form, even: Recovered, tmp_path: Path
) -> None:
    there = tmp_path / "precious"
    publish(even.source, even.adapter, there, Form.CONTAINER, even.origin)
    with pytest.raises(InvalidContainer, match="is not empty"):
        publish(even.source, even.adapter, there, form, even.origin)
    assert container.load(there).model.num_parameters() > 0
    publish(even.source, even.adapter, there, Form.CONTAINER, even.origin)


@pytest.mark.parametrize("form", [Form.MERGED, Form.CONTAINER])
def test_the_directory_one_is_in_may_be_the_target(
    form: Form, even: Recovered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    published = publish(even.source, even.adapter, Path(), form, even.origin)
    assert tmp_path / "here" / "config.json" in published.files


def test_the_card_of_a_container_may_be_edited(even: Recovered, tmp_path: Path) -> None:
    publish(even.source, even.adapter, tmp_path / "c", Form.CONTAINER, even.origin)
    (tmp_path / "c" / "README.md").write_text("mine")
    assert container.load(tmp_path / "c").model.num_parameters() > 0
    publish(even.source, even.adapter, tmp_path / "c", Form.CONTAINER, even.origin)


def _with_weight(of: Recovered, target: Path, value: float) -> Origin:
    loaded = container.load(of.source)
    loaded.model.model.layers[0].mlp.up_proj.weight.data[0, 0] = value
    made = container.write(loaded.model, loaded.tokenizer, target, provenance={})
    return replace(of.origin, fingerprint=made.fingerprint)
