import subprocess
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.architecture import FAMILIES
from pruning.container.assembly import CLASSES
from pruning.container.container import LoadedModel

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
