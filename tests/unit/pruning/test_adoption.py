from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from pruning.container import container
from pruning.container.adoption import adopt
from pruning.container.assembly import blocks_of, matrix_of
from pruning.container.container import LoadedModel
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
    assert "adopt" in caught.value.hint
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
