"""Scores against the paper's formula, written out weight by weight, with either back end."""

import math

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from pruning.container.assembly import blocks_of, matrix_of
from pruning.container.structure import MODULES, matrix_name
from pruning.methods.loraprune import importance as room
from pruning.methods.loraprune.importance import block_importance
from tests.unit.pruning.methods.loraprune.conftest import WINDOWS
from tuning.back_ends import ADAPTER_BACK_ENDS, Attached

GROUPS, DIM, FFN = 4, 4, 24
QUERIES = 2 * DIM
"""Features of a group in q and o: two query heads."""
SCALE, RANK, CLOSE = 3.0, 2, 1e-5


def adapted(model: PreTrainedModel, back_end: str) -> Attached:
    """With a B that is not zero, and gradients."""
    ranks = {matrix_name(index, kind): RANK for index in (0, 1) for kind in MODULES}
    attached = ADAPTER_BACK_ENDS[back_end].attach(model, ranks, alpha_per_rank=SCALE, seed=0)
    torch.manual_seed(1)
    with torch.no_grad():
        for _, up in attached.matrices.values():
            up.copy_(torch.randn(up.shape) / 4)
    model(input_ids=WINDOWS, labels=WINDOWS).loss.backward()
    return attached


def slow_scores(weight: Tensor, down: Tensor, up: Tensor, of_down: Tensor, of_up: Tensor) -> Tensor:
    """``|((B A) - (B - dB)(A - dA)) (W + s B A)|``: what one step of descent moves, by weight."""
    rows: list[list[float]] = []
    before = (down.tolist(), up.tolist())
    after = ((down - of_down).tolist(), (up - of_up).tolist())
    for i, row in enumerate(weight.tolist()):
        rows.append([])
        for j, value in enumerate(row):
            first, then = (sum(u[i][k] * d[k][j] for k in range(RANK)) for d, u in (before, after))
            rows[-1].append(abs((first - then) * (value + SCALE * first)))
    return torch.tensor(rows, dtype=torch.float64)


def share(scores: Tensor, kind: str, structure: int) -> float:
    """The sum over the rows, or of o and down the columns, of one group or channel."""
    width = {"q_proj": QUERIES, "o_proj": QUERIES, "k_proj": DIM, "v_proj": DIM}.get(kind, 1)
    mine = range(structure * width, (structure + 1) * width)
    if kind in ("o_proj", "down_proj"):
        return sum(float(row[j]) for row in scores for j in mine)
    return sum(float(scores[i].sum()) for i in mine)


def slow_importance(scores: dict[str, Tensor], kinds: tuple[str, ...], count: int) -> Tensor:
    total = [0.0] * count
    for kind in kinds:
        sums = [share(scores[kind], kind, structure) for structure in range(count)]
        norm = math.sqrt(sum(one * one for one in sums))
        total = [so_far + one / norm for so_far, one in zip(total, sums, strict=True)]
    return torch.tensor(total, dtype=torch.float64)


@pytest.mark.parametrize("at_once", [2**22, 100])
@pytest.mark.parametrize("back_end", ADAPTER_BACK_ENDS)
def test_scores_are_the_papers(
    model: PreTrainedModel, back_end: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many rows are scored at a time."""
    monkeypatch.setattr(room, "AT_ONCE", at_once)
    weights = [
        {kind: matrix_of(block, kind).weight.detach() for kind in MODULES}
        for block in blocks_of(model)
    ]
    matrices = adapted(model, back_end).matrices
    for index in (0, 1):
        pairs = {kind: matrices[matrix_name(index, kind)] for kind in MODULES}
        slow = {}
        for kind, (down, up) in pairs.items():
            assert down.grad is not None
            assert up.grad is not None
            four = (down.detach(), up.detach(), down.grad, up.grad)
            slow[kind] = slow_scores(weights[index][kind].double(), *(one.double() for one in four))
        found = block_importance(weights[index], pairs, SCALE, GROUPS)
        heads = slow_importance(slow, ("q_proj", "k_proj", "v_proj", "o_proj"), GROUPS)
        channels = slow_importance(slow, ("gate_proj", "up_proj", "down_proj"), FFN)
        torch.testing.assert_close(found.kv_heads.double(), heads, rtol=CLOSE, atol=CLOSE)
        torch.testing.assert_close(found.channels.double(), channels, rtol=CLOSE, atol=CLOSE)
        assert len(set(found.channels.tolist())) == FFN


def test_both_back_ends_score_alike(model: PreTrainedModel) -> None:
    found = []
    weights = {kind: matrix_of(blocks_of(model)[1], kind).weight.detach() for kind in MODULES}
    for back_end in ADAPTER_BACK_ENDS:
        attached = adapted(model, back_end)
        pairs = {kind: attached.matrices[matrix_name(1, kind)] for kind in MODULES}
        found.append(block_importance(weights, pairs, SCALE, GROUPS))
        attached.detach()
    torch.testing.assert_close(found[0].channels, found[1].channels, rtol=1e-4, atol=CLOSE)
    torch.testing.assert_close(found[0].kv_heads, found[1].kv_heads, rtol=1e-4, atol=CLOSE)


def test_no_gradient_of_a_weight_is_stored(model: PreTrainedModel) -> None:
    weights = [parameter for parameter in model.parameters() if not parameter.requires_grad]
    adapted(model, "fused")
    assert len(weights) == 2 * 9 + 3
    assert all(weight.grad is None for weight in weights)
