"""Scores against the papers' formulas, written out weight by weight on a model of two blocks."""

import copy
import math
from collections.abc import Mapping

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from pruning.container.assembly import blocks_of, matrix_of
from pruning.container.structure import MODULES
from pruning.methods import flap, wanda
from pruning.methods.change import Cut, Drop, apply
from pruning.methods.controls import Magnitude, Random
from pruning.methods.depth import BlockScore, Depth, LossWithoutBlock, TaylorOfBlocks
from pruning.methods.flap import Flap
from pruning.methods.importance import Importance
from pruning.methods.plan import Plan
from pruning.methods.surgery import Kept, shrink
from pruning.methods.taylor import Taylor
from pruning.methods.wanda import OUTPUTS, WandaStructured
from pruning.statistics.passage import BlockStatistics, visit_blocks
from tests.unit.pruning.conftest import SIZES
from tests.unit.pruning.statistics.inputs import seen

WINDOWS = torch.arange(6 * 24).view(6, 24) * 37 % 256
PLAN = Plan({0: 0.5, 1: 0.5})
GROUPS, HEADS, DIM, FFN, HIDDEN = 4, 8, 4, 24, 32
CLOSE = 1e-5


@pytest.fixture
def model() -> PreTrainedModel:
    torch.manual_seed(3)
    made: PreTrainedModel = LlamaForCausalLM(LlamaConfig(**{**SIZES, "num_hidden_layers": 2}))
    made.get_parameter("lm_head.weight").data.mul_(30)
    # Features that are far from 0 on the average, and features that hardly vary.
    for block in blocks_of(made):
        for matrix in (matrix_of(block, "up_proj"), matrix_of(block, "v_proj")):
            matrix.weight.data.mul_(torch.rand(matrix.out_features, 1) * 40)
    made.requires_grad_(False)
    made.train(False)
    return made


def weights(model: PreTrainedModel, index: int, kind: str) -> list[list[float]]:
    rows: list[list[float]] = matrix_of(blocks_of(model)[index], kind).weight.double().tolist()
    return rows


def gradients(model: PreTrainedModel) -> dict[tuple[int, str], torch.Tensor]:
    """Of the mean cross-entropy over all predicted tokens, by plain autograd."""
    twin = copy.deepcopy(model).requires_grad_(True)
    logits = twin(input_ids=WINDOWS, use_cache=False).logits[:, :-1].float().log_softmax(-1)
    predicted = logits.gather(-1, WINDOWS[:, 1:, None])
    torch.autograd.backward([-predicted.mean()])
    found = {}
    for index, block in enumerate(blocks_of(twin)):
        for kind in MODULES:
            gradient = matrix_of(block, kind).weight.grad
            assert gradient is not None
            found[index, kind] = gradient.double()
    return found


def features_of(group: int) -> range:
    """Features of a key/value head's query heads: two heads of four."""
    return range(group * 2 * DIM, (group + 1) * 2 * DIM)


def of_structures(change: Mapping[str, list[list[float]]]) -> Importance:
    """Sum what each weight is worth over the weights that go with a group or a channel."""
    groups, channels = [], []
    for group in range(GROUPS):
        total = sum(sum(change["q_proj"][row]) for row in features_of(group))
        for row in range(group * DIM, (group + 1) * DIM):
            total += sum(change["k_proj"][row]) + sum(change["v_proj"][row])
        total += sum(row[column] for row in change["o_proj"] for column in features_of(group))
        groups.append(total)
    for channel in range(FFN):
        total = sum(change["gate_proj"][channel]) + sum(change["up_proj"][channel])
        channels.append(total + sum(row[channel] for row in change["down_proj"]))
    return Importance(torch.tensor(groups), torch.tensor(channels))


def same(found: Importance, expected: Importance) -> None:
    for ours, theirs in (
        (found.kv_heads, expected.kv_heads),
        (found.channels, expected.channels),
    ):
        torch.testing.assert_close(ours.double(), theirs.double(), rtol=CLOSE, atol=CLOSE)


def test_taylor_is_the_sum_of_weight_times_gradient(model: PreTrainedModel) -> None:
    slow = gradients(model)
    found = Taylor()(model, PLAN, WINDOWS)
    for index in (0, 1):
        change = {
            kind: [
                [abs(w * g) for w, g in zip(row, by, strict=True)]
                for row, by in zip(weights(model, index, kind), slow[index, kind], strict=True)
            ]
            for kind in MODULES
        }
        same(found[index], of_structures({k: torch.tensor(v).tolist() for k, v in change.items()}))


def test_magnitude_is_the_sum_of_squares(model: PreTrainedModel) -> None:
    found = Magnitude()(model, PLAN, WINDOWS)
    for index in (0, 1):
        squares = {
            kind: [[w * w for w in row] for row in weights(model, index, kind)] for kind in MODULES
        }
        same(found[index], of_structures(squares))


def test_random_follows_the_seed_and_nothing_else(model: PreTrainedModel) -> None:
    first, again, other = (
        Random()(model, Plan(PLAN.rates, seed=seed), WINDOWS) for seed in (1, 1, 2)
    )
    same(first[1], again[1])
    assert not torch.equal(first[1].channels, other[1].channels)
    assert not torch.equal(first[0].channels, first[1].channels)
    model.get_parameter("model.layers.0.mlp.up_proj.weight").mul_(9)
    same(Random()(model, Plan(PLAN.rates, seed=1), WINDOWS)[0], first[0])


def slow_wanda(model: PreTrainedModel, index: int) -> Importance:
    """``S_j = mean_i |W_ij| ||X_j||_2``; a head is the sum over its features (Wanda-sp)."""
    inputs, scores = seen(model, WINDOWS), {}
    for kind in OUTPUTS:
        fed, rows = inputs[index, kind].tolist(), weights(model, index, kind)
        norms = [math.sqrt(sum(x[j] ** 2 for x in fed)) for j in range(len(fed[0]))]
        scores[kind] = [
            sum(abs(row[j]) for row in rows) / len(rows) * norm for j, norm in enumerate(norms)
        ]
    heads = [sum(scores["o_proj"][j] for j in features_of(group)) for group in range(GROUPS)]
    return Importance(torch.tensor(heads), torch.tensor(scores["down_proj"]))


def test_wanda_is_weights_times_norms_each_block_fed_by_the_cut_one(model: PreTrainedModel) -> None:
    def visit(index: int, statistics: BlockStatistics) -> None:
        same(wanda.importance(blocks_of(model)[index], statistics), slow_wanda(model, index))

    visit_blocks(model, WINDOWS, (0, 1), visit, kinds=OUTPUTS)
    found = WandaStructured()(model, Plan({0: 0.75, 1: 0.5}), WINDOWS).kept
    twin = copy.deepcopy(model)
    for index, left in ((0, 0.25), (1, 0.5)):
        slow = slow_wanda(twin, index)
        heads = slow.kv_heads.topk(int(GROUPS * left)).indices.sort().values.tolist()
        channels = slow.channels.topk(int(FFN * left)).indices.sort().values.tolist()
        queries = tuple(2 * head + offset for head in heads for offset in (0, 1))
        assert found[index] == Kept(queries, tuple(heads), tuple(channels))
        shrink(twin, index, found[index])
    whole = slow_wanda(model, 1)
    assert not torch.allclose(whole.channels, slow.channels, rtol=1e-3)


def slow_flap(model: PreTrainedModel, index: int) -> dict[str, list[float]]:
    """``1 / (N - 1) sum_n (X_nj - mean_j)^2 ||W_:j||^2``, standardised per matrix."""
    inputs, scores = seen(model, WINDOWS), {}
    for kind in OUTPUTS:
        fed, rows = inputs[index, kind].tolist(), weights(model, index, kind)
        raw = []
        for j in range(len(fed[0])):
            column = [x[j] for x in fed]
            mean = sum(column) / len(column)
            variance = sum((x - mean) ** 2 for x in column) / (len(column) - 1)
            raw.append(variance * sum(row[j] ** 2 for row in rows))
        centre = sum(raw) / len(raw)
        deviation = math.sqrt(sum((one - centre) ** 2 for one in raw) / (len(raw) - 1))
        scores[kind] = [(one - centre) / deviation for one in raw]
    return scores


def flap_importance(scores: Mapping[str, list[float]]) -> Importance:
    heads = [sum(scores["o_proj"][j] for j in features_of(g)) / (2 * DIM) for g in range(GROUPS)]
    return Importance(torch.tensor(heads), torch.tensor(scores["down_proj"]))


def test_flap_is_the_weighted_fluctuation_standardised(model: PreTrainedModel) -> None:
    def visit(index: int, statistics: BlockStatistics) -> None:
        found = flap.importance(blocks_of(model)[index], statistics)
        same(found, flap_importance(slow_flap(model, index)))

    visit_blocks(model, WINDOWS, (0, 1), visit, kinds=OUTPUTS)


@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.7])
def test_flap_lets_all_compete_by_what_they_weigh(model: PreTrainedModel, ratio: float) -> None:
    """A group weighs (2 * 2 + 2) * 4 = 24 per unit of width, a channel 3."""
    found = Flap()(model, Plan({0: ratio, 1: ratio}, "global"), WINDOWS).kept
    entries: list[tuple[float, int, str, int]] = []
    for index in (0, 1):
        one = flap_importance(slow_flap(model, index))
        for kind, scores in (("head", one.kv_heads), ("channel", one.channels)):
            top = int(scores.argmax())
            for place, score in enumerate(scores.tolist()):
                entries.append((math.inf if place == top else score, index, kind, place))
    entries.sort(key=lambda entry: -entry[0])
    weighs = {"head": 24, "channel": 3}
    target = (1 - ratio) * sum(weighs[kind] for _, _, kind, _ in entries)
    totals = [sum(weighs[k] for _, _, k, _ in entries[: n + 1]) for n in range(len(entries))]
    count = min(range(len(totals)), key=lambda n: abs(totals[n] - target)) + 1
    for index, kept in found.items():
        stays = {(kind, place) for _, block, kind, place in entries[:count] if block == index}
        assert set(kept.kv_heads) == {place for kind, place in stays if kind == "head"}
        assert set(kept.channels) == {place for kind, place in stays if kind == "channel"}


def test_flap_puts_the_mean_of_what_is_cut_into_a_bias(model: PreTrainedModel) -> None:
    cut = Flap()(model, Plan({0: 0.5, 1: 0.5}), WINDOWS)
    inputs = seen(model, WINDOWS)
    for (index, kind), offset in cut.offsets.items():
        kept = cut.kept[index]
        stays = (
            {head * DIM + j for head in kept.heads for j in range(DIM)}
            if kind == "o_proj"
            else set(kept.channels)
        )
        means = inputs[index, kind].mean(dim=0).tolist()
        expected = [
            sum(w * means[j] for j, w in enumerate(row) if j not in stays)
            for row in weights(model, index, kind)
        ]
        torch.testing.assert_close(
            offset.double(), torch.tensor(expected).double(), rtol=CLOSE, atol=CLOSE
        )
    assert len(cut.offsets) == 4


def test_with_its_bias_the_mean_output_of_the_first_block_stays(model: PreTrainedModel) -> None:
    """And without it does not: the bias is what FLAP adds to plain removal."""
    cut = Flap()(model, Plan({0: 0.5}), WINDOWS)
    moved = {}
    for name, change in (("bias", cut), ("none", Cut(cut.kept))):
        twin = copy.deepcopy(model)
        apply(twin, change)
        output = _attention_output(twin)
        moved[name] = float((output - _attention_output(model)).norm())
    assert moved["bias"] < 1e-4
    assert moved["none"] > 1e-2


@torch.no_grad()
def _attention_output(model: PreTrainedModel) -> torch.Tensor:
    matrix = matrix_of(blocks_of(model)[0], "o_proj")
    fed = seen(model, WINDOWS)[0, "o_proj"].float()
    return matrix(fed).mean(dim=0)  # type: ignore[no-any-return]


def test_depth_taylor_sums_over_the_block(model: PreTrainedModel) -> None:
    slow = gradients(model)
    found = TaylorOfBlocks()(model, PLAN, WINDOWS)
    for index in (0, 1):
        expected = sum(
            abs(w * float(g))
            for (block, kind), gradient in slow.items()
            if block == index
            for row, by in zip(weights(model, index, kind), gradient, strict=True)
            for w, g in zip(row, by, strict=True)
        )
        assert found[index] == pytest.approx(expected, rel=CLOSE)


@pytest.mark.parametrize("score", [TaylorOfBlocks(), LossWithoutBlock()], ids=["taylor", "ppl"])
def test_the_block_with_the_lowest_score_is_dropped(
    model: PreTrainedModel, score: BlockScore
) -> None:
    found = score(model, PLAN, WINDOWS)
    worst = min(found, key=lambda index: found[index])
    assert Depth(score)(model, Plan(PLAN.rates, "global"), WINDOWS) == Drop((worst,))
    assert len(set(found.values())) == 2


@torch.no_grad()
def test_depth_perplexity_is_that_of_a_model_built_without_the_block(
    model: PreTrainedModel,
) -> None:
    found = LossWithoutBlock()(model, PLAN, WINDOWS)
    for index in (0, 1):
        smaller = LlamaForCausalLM(LlamaConfig(**{**SIZES, "num_hidden_layers": 1})).train(False)
        kept = f"model.layers.{1 - index}."
        state = {
            name.replace(kept, "model.layers.0."): tensor
            for name, tensor in model.state_dict().items()
            if not name.startswith(f"model.layers.{index}.")
        }
        smaller.load_state_dict(state, strict=True)
        total, count = 0.0, 0
        for window in WINDOWS:
            logits = smaller(input_ids=window[None]).logits[0].double().log_softmax(-1)
            for place, token in enumerate(window[1:].tolist()):
                total -= float(logits[place, token])
                count += 1
        assert math.exp(found[index]) == pytest.approx(math.exp(total / count), rel=CLOSE)
    assert found[0] != pytest.approx(found[1], rel=1e-3)
