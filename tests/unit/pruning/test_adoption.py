import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.assembly import blocks_of, matrix_of
from pruning.container.container import LoadedModel
from pruning.container.tokenizer import PROBE
from pruning.importing.adoption import adopt
from pruning.methods.surgery import Kept, shrink
from rankspace.errors import InvalidContainer, RankspaceError

IDS = torch.arange(30)[None] * 11 % 256


@torch.no_grad()
def test_a_pruned_model_under_the_unpruned_config_is_adopted_exactly(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """FLAP: uneven heads and widths, and a bias on o_proj and down_proj that no config knows."""
    shrink(llama, 1, Kept((2, 3, 6, 7), (1, 3), (0, 5, 23)))
    for kind in ("o_proj", "down_proj"):
        matrix_of(blocks_of(llama)[1], kind).bias = torch.nn.Parameter(torch.randn(32))
    llama.save_pretrained(tmp_path / "flap")
    tokenizer.save_pretrained(tmp_path / "flap")
    with pytest.raises(InvalidContainer, match="promises") as caught:
        container.load(tmp_path / "flap")
    assert "rankadaptor adopt" in caught.value.hint
    adopted = adopt(tmp_path / "flap", tmp_path / "c")
    loaded = container.load(tmp_path / "c")
    assert loaded.description == adopted
    assert torch.equal(loaded.model(IDS).logits, llama(IDS).logits)


def test_dropped_blocks_keep_their_original_index(plain: Path, tmp_path: Path) -> None:
    adopt(plain, tmp_path / "c", original=(0, 4, 7))
    blocks = container.load(tmp_path / "c").structure.blocks
    assert [block.original_index for block in blocks] == [0, 4, 7]


def test_split_heads_are_refused(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    matrix = matrix_of(blocks_of(llama)[0], "q_proj")
    matrix.weight = torch.nn.Parameter(matrix.weight[:30])
    llama.save_pretrained(tmp_path / "flap")
    tokenizer.save_pretrained(tmp_path / "flap")
    with pytest.raises(InvalidContainer, match="whole number of heads"):
        adopt(tmp_path / "flap", tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("original", "problem"),
    [
        ([], "3 blocks"),
        ([0, 1], "3 blocks"),
        ([0, 1, 2, 3], "3 blocks"),
        ([0, 2, 2], "do not rise"),
        ([-1, 0, 1], "do not rise"),
    ],
)
def test_indices_that_fit_no_block_are_refused(
    original: list[int], problem: str, loaded: LoadedModel, plain: Path, tmp_path: Path
) -> None:
    with pytest.raises(RankspaceError, match=problem):
        adopt(plain, tmp_path / "c", original=original)
    with pytest.raises(RankspaceError, match=problem):
        container.write(
            loaded.model, loaded.tokenizer, tmp_path / "c", provenance={}, original=original
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain"]


def forget(directory: Path, **changes: Any) -> None:
    """Rewrite the config, as a tool does that knows nothing of ``head_dim``."""
    path = directory / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    del config["head_dim"]
    path.write_text(json.dumps(config))


@pytest.fixture
def narrow(plain: Path) -> Path:
    """8 heads of 4, whose residual stream was cut from 32 to 16: 16 / 8 is no head's width."""
    state = load_file(plain / "model.safetensors")
    for name, tensor in state.items():
        kept = tensor[..., :16] if tensor.shape[-1] == 32 else tensor
        of_stream = name.endswith(("o_proj.weight", "down_proj.weight"))
        state[name] = (tensor[:16] if of_stream else kept).contiguous()
    save_file(state, plain / "model.safetensors")
    forget(plain, hidden_size=16)
    return plain


def test_more_heads_than_before_are_narrower_ones_and_no_guess(
    narrow: Path, tmp_path: Path
) -> None:
    """16 heads of 2 were made of 8 of 4, without a word: every logit was wrong."""
    with pytest.raises(InvalidContainer, match=r"16 heads.*more than the 8") as caught:
        adopt(narrow, tmp_path / "c")
    assert caught.value.field == "config.json.head_dim"
    assert "for example 4" in caught.value.hint
    config = json.loads((narrow / "config.json").read_text())
    (narrow / "config.json").write_text(json.dumps({**config, "head_dim": 4}))
    adopted = adopt(narrow, tmp_path / "c")
    assert {b.heads for b in container.load(tmp_path / "c").structure.blocks} == {8}
    assert adopted.parameters


def test_more_key_value_heads_than_before_are_no_guess(plain: Path, tmp_path: Path) -> None:
    forget(plain, num_attention_heads=8, num_key_value_heads=2)
    with pytest.raises(InvalidContainer, match=r"4 heads.*more than the 2"):
        adopt(plain, tmp_path / "c")


def test_fewer_heads_are_what_pruning_leaves(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    shrink(llama, 1, Kept((2, 3, 6, 7), (1, 3), (0, 5, 23)))
    llama.save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    forget(tmp_path / "m")
    adopt(tmp_path / "m", tmp_path / "c")
    blocks = container.load(tmp_path / "c").structure.blocks
    assert [(block.heads, block.kv_heads) for block in blocks] == [(8, 4), (4, 2), (8, 4)]


def test_matrices_of_a_block_that_do_not_fit_are_not_sent_in_a_circle(
    llama: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    """The fix of adopting may not be to adopt."""
    matrix = matrix_of(blocks_of(llama)[0], "down_proj")
    matrix.weight = torch.nn.Parameter(matrix.weight[:, :20])
    llama.save_pretrained(tmp_path / "m")
    tokenizer.save_pretrained(tmp_path / "m")
    with pytest.raises(InvalidContainer, match=r"down_proj.*the rest of its block") as caught:
        adopt(tmp_path / "m", tmp_path / "c")
    assert "adopt" not in caught.value.hint


def test_a_tokenizer_is_adopted_with_the_ids_of_its_own_file(plain: Path, tmp_path: Path) -> None:
    adopt(plain, tmp_path / "c")
    before, after = (
        Tokenizer.from_file(str(directory / "tokenizer.json"))
        for directory in (plain, tmp_path / "c")
    )
    assert container.load(tmp_path / "c").tokenizer.encode(PROBE) == before.encode(PROBE).ids
    assert after.encode(PROBE).ids == before.encode(PROBE).ids


@pytest.mark.parametrize("beside", ["tokenizer_config.json", "added_tokens.json"])
def test_a_tokenizer_that_files_beside_it_change_is_no_guess(
    beside: str, plain: Path, tmp_path: Path
) -> None:
    """The embedding has a row for it, so that nothing else would notice."""
    path = plain / "tokenizer_config.json"
    config = json.loads(path.read_text())
    if beside == "added_tokens.json":
        config["tokenizer_class"] = "LlamaTokenizerFast"
        (plain / beside).write_text(json.dumps({"quick": 257}))
    else:
        config["added_tokens_decoder"] = {"257": {"content": "quick", "special": False}}
    path.write_text(json.dumps(config))
    with pytest.raises(InvalidContainer, match="'quick'") as caught:
        adopt(plain, tmp_path / "c")
    assert "tokenizer.json" in caught.value.hint
    assert not (tmp_path / "c").exists()


def test_sentencepiece_alone_comes_with_the_way_to_convert_it(plain: Path, tmp_path: Path) -> None:
    (plain / "tokenizer.json").rename(plain / "tokenizer.model")
    with pytest.raises(InvalidContainer, match="no such file") as caught:
        adopt(plain, tmp_path / "c")
    assert "pip install sentencepiece protobuf" in caught.value.hint
    assert f"from_pretrained({str(plain)!r}).save_pretrained({str(plain)!r})" in caught.value.hint
