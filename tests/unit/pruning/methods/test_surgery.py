from collections.abc import Callable

import pytest
import torch
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, matrix_of, read_structure
from pruning.container.structure import BlockStructure
from pruning.methods.surgery import Kept, shrink, whole_groups
from rankspace.errors import InvalidInput
from tests.unit.pruning.conftest import make_model

IDS = torch.arange(30)[None] * 11 % 256
GROUPS = Kept((2, 3, 6, 7), (1, 3), (0, 5, 23))
QUERIES = Kept((0, 3, 4, 6), (0, 1, 2, 3), tuple(range(24)))


@torch.no_grad()
def logits(model: PreTrainedModel) -> torch.Tensor:
    answer: torch.Tensor = model(input_ids=IDS).logits
    return answer


def silence(model: PreTrainedModel, index: int, kept: Kept) -> None:
    """Zero the columns through which the removed heads and channels reach the residual stream."""
    block = blocks_of(model)[index]
    o_proj, down_proj = matrix_of(block, "o_proj").weight, matrix_of(block, "down_proj").weight
    for head in set(range(8)) - set(kept.heads):
        o_proj[:, head * 4 : head * 4 + 4] = 0
    for channel in set(range(24)) - set(kept.channels):
        down_proj[:, channel] = 0


@pytest.mark.parametrize("kept", [GROUPS, QUERIES], ids=["whole groups", "queries of each group"])
def test_removing_what_is_silent_changes_nothing(prunable: PreTrainedModel, kept: Kept) -> None:
    for index in range(3):
        silence(prunable, index, kept)
    before = logits(prunable)
    for index in range(3):
        shrink(prunable, index, kept)
    torch.testing.assert_close(logits(prunable), before, rtol=0, atol=1e-5)


def test_heads_that_are_normalised_together_stay_together() -> None:
    """OLMo-2: the norm of the queries is over all heads; channels of its MLP may go."""
    model = make_model("olmo2")
    with pytest.raises(InvalidInput, match="norm is over all of them") as caught:
        shrink(model, 0, GROUPS)
    assert "channels" in caught.value.hint
    kept = Kept(tuple(range(8)), tuple(range(4)), (0, 5, 23))
    silence(model, 1, kept)
    before = logits(model)
    shrink(model, 1, kept)
    torch.testing.assert_close(logits(model), before, rtol=0, atol=1e-5)


def test_the_structure_follows_the_cut(llama: PreTrainedModel) -> None:
    shrink(llama, 1, GROUPS)
    assert read_structure(llama, (0, 1, 2)).blocks[1] == BlockStructure(4, 2, 4, 3, (), 1)


def test_whole_groups_take_their_query_heads_along() -> None:
    block = BlockStructure(8, 4, 4, 24, (), 0)
    assert whole_groups(block, (1, 3), (0, 5, 23)) == GROUPS


BAD: dict[str, Callable[[], Kept]] = {
    "nothing stays": lambda: Kept((), (), (0,)),
    "no channel": lambda: Kept((0, 1), (0,), ()),
    "falling": lambda: Kept((1, 0), (0,), (0,)),
    "out of range": lambda: Kept((0, 1), (0,), (24,)),
    "negative": lambda: Kept((0, 1), (0,), (-1,)),
    "unequal groups": lambda: Kept((0, 1, 2), (0, 1), (0,)),
    "query of a removed group": lambda: Kept((0, 1, 2, 3), (0,), (0,)),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_an_impossible_cut_is_refused_and_nothing_is_cut(
    llama: PreTrainedModel, make: Callable[[], Kept]
) -> None:
    before = logits(llama)
    with pytest.raises(InvalidInput):
        shrink(llama, 0, make())
    assert torch.equal(logits(llama), before)
