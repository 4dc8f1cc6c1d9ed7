"""Our own adapter against peft's: the same training, the same files, a model given back."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file

from pruning.container.container import load
from rankspace.errors import TrialFailed
from rankspace.recipe import Optimizer
from tuning.back_ends import ADAPTER_BACK_ENDS, Attached
from tuning.batches import Passes, schedule
from tuning.examples import Example, windows
from tuning.measuring import mean_loss
from tuning.training import Training, train

CPU = torch.device("cpu")
OPTIMIZER = Optimizer(learning_rate=1e-2, warmup_steps=2, gradient_clip=0.5, weight_decay=0.1)
UP = "model.layers.1.mlp.up_proj"


@pytest.fixture(scope="module")
def examples(text_file: Path, tokenizer: Any) -> tuple[Example, ...]:
    return windows(tokenizer(text_file.read_text()[:4000], verbose=False)["input_ids"], 32)[:80]


@pytest.fixture(scope="module")
def ranks(model_directory: Path) -> Mapping[str, int]:
    names = [matrix.name for matrix in load(model_directory).description.matrices]
    return {name: 1 + i % 5 for i, name in enumerate(names) if i % 4}


def attached(back_end: str, model: Any, ranks: Mapping[str, int]) -> Attached:
    return ADAPTER_BACK_ENDS[back_end].attach(model, ranks, alpha_per_rank=3.0, seed=3)


def trained(
    model: Any, adapter: Attached, examples: tuple[Example, ...], steps: int = 40
) -> Training:
    batches = schedule(examples[20:], 8, steps, seed=3)
    return train(model, adapter.parameters, batches, OPTIMIZER, steps=steps, passes=Passes(4))


def by_kind(
    model_directory: Path,
    ranks: Mapping[str, int],
    examples: tuple[Example, ...],
    dtype: torch.dtype,
    steps: int,
) -> dict[str, tuple[Attached, Training, float]]:
    found = {}
    for name in ("peft", "fused"):
        model = load(model_directory, dtype=dtype).model
        adapter = attached(name, model, ranks)
        run = trained(model, adapter, examples, steps)
        found[name] = adapter, run, mean_loss(model, examples[:20], CPU)
    return found


@pytest.mark.slow
def test_every_parameter_equals_pefts_after_forty_steps(
    model_directory: Path, ranks: Mapping[str, int], examples: tuple[Example, ...]
) -> None:
    found = by_kind(model_directory, ranks, examples, torch.float32, 40)
    (theirs, reference, their_loss), (ours, run, our_loss) = found["peft"], found["fused"]
    pairs = list(zip(ours.parameters, theirs.parameters, strict=True))
    assert len(pairs) == 2 * len(ranks)
    assert all(one.shape == other.shape for one, other in pairs)
    apart = max((one - other).detach().abs().max().item() for one, other in pairs)
    assert apart < 1e-5
    assert run.losses == pytest.approx(reference.losses, rel=1e-5)
    assert our_loss == pytest.approx(their_loss, rel=1e-6)
    assert run.losses[-1] < run.losses[0] - 0.2


@pytest.mark.slow
def test_in_bfloat16_it_trains_as_peft_does(
    model_directory: Path, ranks: Mapping[str, int], examples: tuple[Example, ...]
) -> None:
    """A copy that is not taken anew would leave the loss where it began."""
    found = by_kind(model_directory, ranks, examples, torch.bfloat16, 12)
    (_, reference, their_loss), (ours, run, our_loss) = found["peft"], found["fused"]
    assert {parameter.dtype for parameter in ours.parameters} == {torch.float32}
    assert our_loss == pytest.approx(their_loss, abs=1e-3)
    assert run.losses[-1] == pytest.approx(reference.losses[-1], abs=2e-3)
    assert run.losses[-1] < run.losses[0] - 0.2


def test_in_bfloat16_a_pass_sees_what_was_just_written(model_directory: Path) -> None:
    model: Any = load(model_directory, dtype=torch.bfloat16).model
    adapter = attached("fused", model, {UP: 2})
    ids = torch.arange(20)[None]
    with torch.no_grad():
        before = model(input_ids=ids).logits
        adapter.parameters[1].add_(0.5)
        after = model(input_ids=ids).logits
    assert not torch.equal(before, after)


def test_files_are_those_that_peft_writes(
    model_directory: Path, ranks: Mapping[str, int], tmp_path: Path
) -> None:
    configs, matrices = [], []
    for name in ("peft", "fused"):
        adapter = attached(name, load(model_directory).model, ranks)
        adapter.save(tmp_path / name)
        config = json.loads((tmp_path / name / "adapter_config.json").read_text())
        config["target_modules"].sort()
        configs.append(config)
        matrices.append(load_file(tmp_path / name / "adapter_model.safetensors"))
    assert configs[0] == configs[1]
    assert configs[1]["r"] == max(ranks.values())
    assert configs[1]["lora_alpha"] == 3.0 * max(ranks.values())
    assert configs[1]["rank_pattern"].keys() == configs[1]["alpha_pattern"].keys()
    assert len(configs[1]["rank_pattern"]) == len(ranks)
    assert matrices[0].keys() == matrices[1].keys()
    assert all(torch.equal(matrices[0][key], matrices[1][key]) for key in matrices[0])


def test_peft_reads_what_it_saved_and_answers_alike(
    model_directory: Path,
    ranks: Mapping[str, int],
    examples: tuple[Example, ...],
    tmp_path: Path,
) -> None:
    model = load(model_directory).model
    adapter = attached("fused", model, ranks)
    trained(model, adapter, examples, steps=3)
    ours = mean_loss(model, examples[:20], CPU)
    adapter.save(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # transformers', of what peft asks it
        plain = PeftModel.from_pretrained(load(model_directory).model, str(tmp_path))
    theirs = mean_loss(plain.get_base_model(), examples[:20], CPU)
    assert ours == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("name", ["model.norm", "model.layers.1"])
def test_what_is_no_linear_layer_is_refused_and_the_model_left_as_it_was(
    model_directory: Path, name: str
) -> None:
    model: Any = load(model_directory).model
    kinds = {place: type(module) for place, module in model.named_modules()}
    with pytest.raises(TrialFailed, match=f"{name} is a Llama"):
        attached("fused", model, {UP: 2, name: 1})
    assert {place: type(module) for place, module in model.named_modules()} == kinds
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_second_adapter_on_the_same_module_is_refused(model_directory: Path) -> None:
    model: Any = load(model_directory).model
    first = attached("fused", model, {UP: 2})
    with pytest.raises(TrialFailed, match=r"up_proj is a LoraLinear.*plain linear layer"):
        attached("fused", model, {UP: 2})
    first.detach()
    assert type(model.get_submodule(UP)) is torch.nn.Linear
    assert first.parameters == ()


def test_nothing_is_left_on_the_model_when_it_is_detached(model_directory: Path) -> None:
    model: Any = load(model_directory, dtype=torch.bfloat16).model
    attached("fused", model, {UP: 2}).detach()
    assert not any(module._forward_pre_hooks for module in model.modules())
