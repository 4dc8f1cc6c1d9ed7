"""What a ratio leaves whole, told from the sizes alone."""

from pathlib import Path

import pytest
import torch

from pruning.container.structure import BlockStructure, Structure
from pruning.methods.compression import compress
from pruning.methods.importance import Importance
from pruning.methods.plan import Plan, Ranking
from pruning.methods.selection import Spared, select, spared
from pruning.methods.settings import PruningSettings
from pruning.profiling.calibration_text import CalibrationText
from rankspace.errors import InvalidInput


def structure(*sizes: tuple[int, int]) -> Structure:
    """Blocks of so many key/value heads and channels."""
    blocks = (BlockStructure(kv, kv, 4, ffn, (), index) for index, (kv, ffn) in enumerate(sizes))
    return Structure(tuple(blocks))


@pytest.mark.parametrize("ranking", ["local", "global"])
@pytest.mark.parametrize("ratio", [0.01, 0.1, 0.2, 0.25, 0.26, 0.5, 0.75, 0.99])
@pytest.mark.parametrize(
    "sizes", [((2, 96),) * 3, ((1, 5), (1, 5), (4, 20)), ((8, 1), (3, 1), (2, 1)), ((1, 1),) * 3]
)
def test_what_is_said_to_stay_whole_does(
    sizes: tuple[tuple[int, int], ...], ratio: float, ranking: Ranking
) -> None:
    plan = Plan({0: ratio, 2: ratio}, ranking)
    importances = {
        index: Importance(torch.arange(heads).float(), torch.arange(channels).float())
        for index, (heads, channels) in enumerate(sizes)
        if index in plan.blocks
    }
    told = {one.kind: one.blocks for one in spared(structure(*sizes), plan)}
    for place, (kind, chosen) in enumerate(
        zip(("key/value heads", "channels"), select(importances, plan), strict=True)
    ):
        whole = tuple(i for i in plan.blocks if len(chosen[i]) == sizes[i][place])
        if ranking == "local":
            assert told.get(kind, ()) == whole
        else:  # some of the blocks may lose nothing to others: that is what global ranking is for
            assert told.get(kind, ()) == (whole if len(whole) == 2 else ())


@pytest.mark.parametrize(
    ("count", "ranking"), [(2, "local"), (5, "local"), (14, "local"), (2, "global"), (5, "global")]
)
def test_a_ratio_above_the_one_told_removes_some(count: int, ranking: Ranking) -> None:
    whole = structure((count, 100), (count, 100))
    (told,) = spared(whole, Plan({0: 0.01, 1: 0.01}, ranking))
    assert told.kind == "key/value heads"
    above = told.above + 1e-6
    assert spared(whole, Plan({0: above, 1: above}, ranking)) == ()


def test_a_block_that_is_to_lose_nothing_is_not_told_of() -> None:
    (told,) = spared(structure((2, 100), (2, 100)), Plan({0: 0.0, 1: 0.1}))
    assert told == Spared("key/value heads", (1,), 0.25)


def test_it_is_told_in_words() -> None:
    assert Spared("channels", (1, 2), 0.25).sentence == (
        "blocks 1, 2 keep all channels: only a rate above 0.25 removes some"
    )
    assert Spared("key/value heads", tuple(range(9)), 1.0).sentence == (
        "blocks 0, 1, 2, 3, 4 and 4 more keep all key/value heads: no rate removes some"
    )


def test_a_ratio_that_removes_nothing_is_refused(plain: Path, text: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        compress(plain, tmp_path / "a", PruningSettings((0, 1), 0.01), CalibrationText(text))
    assert caught.value.field == "ratio"
    assert caught.value.problem.startswith("removes nothing: blocks 0, 1 keep all key/value heads")
    assert caught.value.hint == "use more than 0.0208"
    assert not (tmp_path / "a").exists()
    ratio = PruningSettings((0, 1), 0.021)
    pruned = compress(plain, tmp_path / "a", ratio, CalibrationText(text))
    assert {m.d_out for m in pruned.matrices if m.module == "up_proj"} == {23, 24}
