import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.assembly import blocks_of, matrix_of
from pruning.container.container import LoadedModel
from pruning.container.description import describe
from pruning.methods.surgery import Kept, shrink
from rankspace.errors import InvalidContainer
from rankspace.layer_profile import LayerProfile

IDS = torch.arange(40)[None] * 7 % 256
PROFILE = LayerProfile("model.layers.1.mlp.up_proj", 0.5, 0.5, 1.0, 1.0, 0.1, 0.9)


@torch.no_grad()
def logits(model: PreTrainedModel) -> torch.Tensor:
    answer: torch.Tensor = model(input_ids=IDS).logits
    return answer


def shrink_unevenly(model: PreTrainedModel) -> None:
    shrink(model, 0, Kept((0, 1, 6, 7), (0, 3), tuple(range(5, 20))))
    shrink(model, 2, Kept((1, 2, 4), (0, 1, 2), (3,)))


def test_an_uneven_model_comes_back_exactly(
    prunable: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    shrink_unevenly(prunable)
    written = container.write(prunable, tokenizer, tmp_path / "c", provenance={"by": "hand"})
    loaded = container.load(tmp_path / "c")
    assert torch.equal(logits(loaded.model), logits(prunable))
    assert loaded.description == written == describe(tmp_path / "c")
    assert [block.heads for block in loaded.structure.blocks] == [4, 8, 3]


def test_a_loaded_model_is_frozen_in_eval_mode_and_nowhere_on_meta(plain: Path) -> None:
    model = container.load(plain).model
    assert not model.training
    assert not any(module.training for module in model.modules())
    assert not any(tensor.requires_grad or tensor.is_meta for tensor in model.parameters())
    assert not any(tensor.is_meta for tensor in model.buffers())


def test_an_ordinary_directory_of_any_family_equals_from_pretrained(
    any_model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    any_model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    expected = AutoModelForCausalLM.from_pretrained(tmp_path)
    loaded = container.load(tmp_path)
    assert torch.equal(logits(loaded.model), logits(expected))
    assert {matrix.name for matrix in loaded.description.matrices} == {
        name
        for name, module in loaded.model.named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head"
    }


def test_cached_generation_of_an_uneven_model_equals_generation_without_cache(
    prunable: PreTrainedModel,
) -> None:
    shrink_unevenly(prunable)
    arguments: dict[str, Any] = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 0}
    model: Any = prunable
    cached = model.generate(IDS[:, :20], use_cache=True, **arguments)
    assert torch.equal(cached, model.generate(IDS[:, :20], use_cache=False, **arguments))


def test_biases_on_output_projections_alone_survive(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    for kind in ("o_proj", "down_proj"):
        matrix_of(blocks_of(llama)[1], kind).bias = torch.nn.Parameter(torch.randn(32))
    container.write(llama, tokenizer, tmp_path / "c", provenance={})
    loaded = container.load(tmp_path / "c")
    assert loaded.structure.blocks[1].biases == ("o_proj", "down_proj")
    assert torch.equal(logits(loaded.model), logits(llama))


def test_shards_hold_the_same_model(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    container.write(llama, tokenizer, tmp_path / "c", provenance={}, shard_bytes=40_000)
    assert len(list((tmp_path / "c").glob("model-*-of-*.safetensors"))) > 2
    assert torch.equal(logits(container.load(tmp_path / "c").model), logits(llama))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_another_dtype_keeps_the_rotary_table_exact(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path, dtype: torch.dtype
) -> None:
    container.write(llama, tokenizer, tmp_path / "c", provenance={})
    model = container.load(tmp_path / "c", dtype=dtype).model
    assert {tensor.dtype for tensor in model.parameters()} == {dtype}
    assert {tensor.dtype for tensor in model.buffers()} == {torch.float32}
    # A half-precision container is its own reference.
    container.write(model, tokenizer, tmp_path / "half", provenance={})
    assert container.load(tmp_path / "half").model.dtype == dtype


def test_tied_embeddings_stay_one_parameter(
    tied: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    container.write(tied, tokenizer, tmp_path / "c", provenance={})
    model: Any = container.load(tmp_path / "c").model
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_the_fingerprint_knows_the_content_and_not_the_path(plain: Path, tmp_path: Path) -> None:
    before = describe(plain).fingerprint
    moved = plain.rename(tmp_path / "elsewhere")
    assert describe(moved).fingerprint == before
    config = json.loads((moved / "config.json").read_text())
    (moved / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    assert describe(moved).fingerprint != before


def test_the_fingerprint_knows_which_blocks_were_dropped(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    fingerprints = {
        container.write(
            llama, tokenizer, tmp_path / "c", provenance={}, original=original
        ).fingerprint
        for original in ([0, 1, 2], [0, 1, 5])
    }
    assert len(fingerprints) == 2
    assert container.load(tmp_path / "c").structure.blocks[2].original_index == 5


def test_profiles_are_kept_and_leave_the_fingerprint(plain: Path) -> None:
    before = describe(plain)
    after = container.write_profiles(plain, [PROFILE])
    assert after == describe(plain) == container.load(plain).description
    assert (after.fingerprint, after.profiles) == (before.fingerprint, (PROFILE,))


def test_a_profile_of_another_model_is_refused(plain: Path) -> None:
    stranger = LayerProfile("model.layers.9.mlp.up_proj", 0.5, 0.5, 1.0, 1.0, 0.1, 0.9)
    with pytest.raises(InvalidContainer, match=r"layers\.9"):
        container.write_profiles(plain, [stranger])
    assert not (plain / "pruned.json").exists()


def test_a_container_is_replaced_and_nothing_else_is(
    loaded: LoadedModel, tmp_path: Path, plain: Path
) -> None:
    target = tmp_path / "c"
    for provenance in ({"run": 1}, {"run": 2}):
        container.write(loaded.model, loaded.tokenizer, target, provenance=provenance)
    assert json.loads((target / "pruned.json").read_text())["provenance"] == {"run": 2}
    with pytest.raises(InvalidContainer, match="holds other things"):
        container.write(loaded.model, loaded.tokenizer, plain, provenance={})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "plain"]


def test_a_failed_write_leaves_the_old_container_and_no_rubbish(
    loaded: LoadedModel, tmp_path: Path
) -> None:
    target = tmp_path / "c"
    container.write(loaded.model, loaded.tokenizer, target, provenance={})
    before = describe(target)
    matrix_of(blocks_of(loaded.model)[0], "q_proj").weight.fill_(torch.nan)
    with pytest.raises(InvalidContainer, match="does not answer with numbers"):
        container.write(loaded.model, loaded.tokenizer, target, provenance={})
    assert describe(target) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "plain"]


def test_a_cache_snapshot_may_link_into_its_blobs(plain: Path, tmp_path: Path) -> None:
    repository = tmp_path / "models--a--b"
    snapshot, blobs = repository / "snapshots" / "0123", repository / "blobs"
    snapshot.mkdir(parents=True)
    plain.rename(blobs)
    for path in blobs.iterdir():
        (snapshot / path.name).symlink_to(os.path.relpath(path, snapshot))
    assert container.load(snapshot).description.parameters > 0


def test_older_config_keys_are_understood(plain: Path) -> None:
    config = json.loads((plain / "config.json").read_text())
    del config["rope_parameters"], config["dtype"]
    older = {"rope_theta": 500.0, "torch_dtype": "float32", "_name_or_path": "x/y"}
    (plain / "config.json").write_text(json.dumps({**config, **older}))
    expected = AutoModelForCausalLM.from_pretrained(plain)
    assert torch.equal(logits(container.load(plain).model), logits(expected))
