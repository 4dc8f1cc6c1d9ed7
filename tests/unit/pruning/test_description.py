import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.architecture import FAMILIES
from pruning.container.assembly import CLASSES
from pruning.container.container import LoadedModel
from pruning.container.description import describe
from rankspace.errors import InvalidContainer

REPOSITORY = Path(__file__).parents[3]
WITHOUT_TORCH = """
import sys
for name in ("torch", "transformers", "safetensors", "numpy"):
    sys.modules[name] = None
from pathlib import Path
from pruning.container.description import describe
print(describe(Path(sys.argv[1])).fingerprint)
"""


def test_a_laptop_without_torch_can_describe_a_model(loaded: LoadedModel) -> None:
    path = loaded.description.path
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, path],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    assert run.stdout.strip() == loaded.description.fingerprint


def test_parameters_and_shapes_are_those_of_the_model(loaded: LoadedModel) -> None:
    description = loaded.description
    assert description.parameters == sum(p.numel() for p in loaded.model.parameters())
    modules = dict(loaded.model.named_modules())
    for matrix in description.matrices:
        module = modules[matrix.name]
        assert isinstance(module, torch.nn.Linear)
        assert tuple(module.weight.shape) == (matrix.d_out, matrix.d_in)


def test_every_allowed_family_can_be_built() -> None:
    assert set(FAMILIES) == set(CLASSES)


def test_old_rotary_tables_and_equal_tied_copies_are_tolerated(
    tied: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    tied.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    before = container.load(tmp_path).description.parameters
    state = load_file(tmp_path / "model.safetensors")
    state["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(2)
    state["lm_head.weight"] = state["model.embed_tokens.weight"].clone()
    save_file(state, tmp_path / "model.safetensors")
    assert container.load(tmp_path).description.parameters == before


FILES = ("adapter_config.json", "adapter_model.safetensors")
LEFT = {
    "LLM-Pruner": (("pytorch_model.bin", "description.txt"), "pickle", "rankadaptor adopt"),
    "a checkpoint": (("model.pt",), "pickle", "rankadaptor adopt"),
    "PEFT": (FILES, "PEFT adapter", "merge_and_unload"),
    "PEFT, with the state of its training": (
        (*FILES, "optimizer.pt", "training_args.bin"),
        "PEFT adapter",
        "merge_and_unload",
    ),
    "llama.cpp": (("model-q4.gguf",), "GGUF", "safetensors"),
    "Meta": (("consolidated.00.pth", "params.json"), "Meta", "convert_llama_weights_to_hf"),
    "DeepSpeed": (("global_step100", "latest", "zero_to_fp32.py"), "DeepSpeed", "zero_to_fp32"),
    "FSDP": (("pytorch_model_fsdp_0", "optimizer_0"), "FSDP", "merge-weights"),
}


@pytest.mark.parametrize("has_config", [False, True])
@pytest.mark.parametrize(("files", "is_what", "fix"), LEFT.values(), ids=LEFT)
def test_a_directory_is_called_what_it_is(
    files: tuple[str, ...], is_what: str, fix: str, has_config: bool, plain: Path
) -> None:
    (plain / "model.safetensors").unlink()
    if not has_config:
        (plain / "config.json").unlink()
    for name in files:
        (plain / name).write_bytes(b"\x80 never read")
    with pytest.raises(InvalidContainer, match=is_what) as caught:
        describe(plain)
    assert fix in caught.value.hint


def test_what_a_training_leaves_beside_the_weights_is_no_hindrance(plain: Path) -> None:
    for name in ("training_args.bin", "optimizer.pt", "adapter_config.json"):
        (plain / name).write_bytes(b"\x80")
    assert describe(plain).parameters
    (plain / "adapter_config.json").unlink()
    (plain / "model.safetensors").unlink()
    with pytest.raises(InvalidContainer, match="there is no such file"):
        describe(plain)


def test_a_file_is_no_directory(plain: Path) -> None:
    with pytest.raises(InvalidContainer, match="is not a directory") as caught:
        describe(plain / "model.safetensors")
    assert "the directory it lies in" in caught.value.hint
