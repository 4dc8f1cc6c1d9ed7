"""Every way to score keeps the same contract; Taylor's is checked against autograd by hand."""

import pytest
import torch
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, matrix_of
from pruning.methods.importance import Importance, Pruner, couple
from pruning.methods.method import Scored
from pruning.methods.methods import METHODS
from pruning.methods.plan import Plan, Ranking
from pruning.methods.selection import select
from pruning.methods.settings import PrunerName, PruningSettings
from pruning.methods.taylor import Taylor
from pruning.profiling.gradients import next_token_loss
from pruning.rates.rules import Arithmetic
from rankspace.errors import InvalidInput

WINDOWS = torch.arange(96).view(4, 24) * 37 % 256
PLAN = Plan({0: 0.5, 2: 0.5})


PRUNERS = {name: one.importance for name, one in METHODS.items() if isinstance(one, Scored)}


@pytest.mark.parametrize("pruner", PRUNERS.values(), ids=PRUNERS)
def test_scores_are_finite_repeatable_and_leave_the_model_alone(
    pruner: Pruner, any_model: PreTrainedModel
) -> None:
    before = {name: tensor.clone() for name, tensor in any_model.state_dict().items()}
    first, again = (pruner(any_model, PLAN, WINDOWS) for _ in range(2))
    assert set(first) == {0, 2}
    for index, importance in first.items():
        assert importance.kv_heads.shape == (4,)
        assert importance.channels.shape == (24,)
        assert torch.isfinite(importance.kv_heads).all()
        assert (importance.kv_heads >= 0).all()
        assert torch.equal(importance.channels, again[index].channels)
    assert all(torch.equal(before[name], t) for name, t in any_model.state_dict().items())
    assert not any(p.requires_grad or p.grad is not None for p in any_model.parameters())


DATA_FREE = {PrunerName.RANDOM}


@pytest.mark.parametrize("name", sorted(set(PRUNERS) - DATA_FREE))
def test_what_is_zero_is_worth_nothing(name: PrunerName, llama: PreTrainedModel) -> None:
    block = blocks_of(llama)[2]
    for kind in ("q_proj", "k_proj", "v_proj"):
        width = matrix_of(block, kind).out_features // 4
        matrix_of(block, kind).weight[width : 2 * width] = 0
    matrix_of(block, "o_proj").weight[:, 8:16] = 0
    for kind in ("gate_proj", "up_proj"):
        matrix_of(block, kind).weight[7] = 0
    matrix_of(block, "down_proj").weight[:, 7] = 0
    importance = PRUNERS[name](llama, PLAN, WINDOWS)[2]
    assert importance.kv_heads.argmin() == 1
    assert importance.kv_heads[1] == 0
    assert importance.channels[7] == 0
    assert (importance.channels > 0).sum() == 23


def test_taylor_scores_equal_those_of_plain_autograd(llama: PreTrainedModel) -> None:
    llama.get_parameter("lm_head.weight").mul_(300)  # large gradients, so that squares count
    llama.requires_grad_(True)
    per_window = []
    for window in WINDOWS:
        llama.zero_grad()
        next_token_loss(llama, window[None]).backward()  # type: ignore[no-untyped-call]
        mlp = blocks_of(llama)[0].mlp
        kinds = ("gate_proj", "up_proj", "down_proj")
        per_window.append([getattr(mlp, kind).weight.grad.clone() for kind in kinds])
    weights = [getattr(mlp, kind).weight.detach() for kind in kinds]
    llama.requires_grad_(False)
    first, mixed, vector = 0.0, 0.0, 0.0
    for i, weight in enumerate(weights):
        axis = 0 if i == 2 else 1
        parts = torch.stack([entry[i] for entry in per_window])
        change = weight * parts.mean(0)
        first = first + change.abs().sum(axis)
        vector = vector + change.sum(axis).abs()
        mixed = mixed + (change - 0.5 * weight**2 * (parts**2).mean(0)).abs().sum(axis)
    assert not torch.allclose(torch.as_tensor(mixed), torch.as_tensor(first), rtol=1e-3)
    expectations = {Taylor(): first, Taylor(fisher=True): mixed, Taylor(vector=True): vector}
    for pruner, expected in expectations.items():
        found = pruner(llama, PLAN, WINDOWS)[0].channels
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("fisher", "runs"), [(True, 4), (False, 1)])
def test_progress_is_told_run_by_run(llama: PreTrainedModel, fisher: bool, runs: int) -> None:
    """Windows run together unless each one's own gradient is wanted."""
    told: list[tuple[int, int]] = []
    pruner = Taylor(fisher=fisher)
    pruner(llama, PLAN, WINDOWS, lambda done, total: told.append((done, total)))
    assert told == [(done, runs) for done in range(1, runs + 1)]


def test_groups_add_up_over_the_coupled_matrices() -> None:
    ones = {"q_proj": 8, "k_proj": 4, "v_proj": 4, "o_proj": 8}
    scores = {kind: torch.ones(size) for kind, size in ones.items()}
    scores |= {kind: torch.arange(3.0) for kind in ("gate_proj", "up_proj", "down_proj")}
    scores["o_proj"] = torch.arange(8.0)
    importance = couple(scores, kv_heads=2)
    assert importance.kv_heads.tolist() == [4 + 2 + 2 + 6, 4 + 2 + 2 + 22]
    assert importance.channels.tolist() == [0, 3, 6]


IMPORTANCES = {
    0: Importance(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1.0, 1.0, 1.0, 9.0])),
    3: Importance(torch.tensor([0.1, 0.4, 0.3, 0.2]), torch.tensor([5.0, 6.0, 7.0, 8.0])),
}


def test_local_ranking_removes_the_lowest_of_each_block() -> None:
    heads, channels = select(IMPORTANCES, Plan({0: 0.5, 3: 0.5}, "local"))
    assert heads == {0: (2, 3), 3: (1, 2)}
    assert channels == {0: (0, 3), 3: (2, 3)}


def test_each_block_loses_its_own_rate() -> None:
    heads, channels = select(IMPORTANCES, Plan({0: 0.0, 3: 0.75}))
    assert heads == {0: (0, 1, 2, 3), 3: (1,)}
    assert channels == {0: (0, 1, 2, 3), 3: (3,)}


def test_blocks_that_compete_have_no_rates_of_their_own() -> None:
    with pytest.raises(InvalidInput, match="ranking = 'global': lets the blocks compete"):
        Plan({0: 0.25, 3: 0.75}, "global")
    with pytest.raises(InvalidInput, match="ranking = 'global': lets the blocks compete"):
        PruningSettings((0, 3), ranking="global", rates=Arithmetic(0.1))


def test_global_ranking_compares_blocks_and_empties_none() -> None:
    heads, channels = select(IMPORTANCES, Plan({0: 0.5, 3: 0.5}, "global"))
    assert heads == {0: (1, 2, 3), 3: (1,)}
    assert channels == {0: (3,), 3: (1, 2, 3)}


@pytest.mark.parametrize("ranking", ["local", "global"])
def test_one_of_each_always_stays(ranking: Ranking) -> None:
    for chosen in select(IMPORTANCES, Plan({0: 0.99, 3: 0.99}, ranking)):
        assert [len(kept) for kept in chosen.values()] == [1, 1]


@pytest.mark.parametrize("ratio", [0.0, 1.0, -0.1, 1.5, float("nan")])
def test_an_impossible_ratio_is_refused(ratio: float) -> None:
    with pytest.raises(InvalidInput, match="ratio"):
        PruningSettings((0,), ratio)


@pytest.mark.parametrize("blocks", [(), (1, 1), (2, 1), (-1,)])
def test_impossible_blocks_are_refused(blocks: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="blocks"):
        PruningSettings(blocks)
