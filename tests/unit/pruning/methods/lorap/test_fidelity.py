"""LoRAP against its formulas, written out weight by weight on models of two blocks."""

import copy
import math

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from pruning.container.assembly import blocks_of, matrix_of, read_block
from pruning.container.structure import ATTENTION, MLP, BlockStructure
from pruning.methods.change import Cut, apply
from pruning.methods.lorap.allocation import channels_left, kept_shares, ranks_of
from pruning.methods.lorap.channels import best_and_least, scores
from pruning.methods.lorap.factoring import factored, scales
from pruning.methods.lorap.method import Lorap
from pruning.methods.plan import Plan
from pruning.statistics.input_statistics import InputStatistics
from pruning.statistics.passage import BlockStatistics, visit_blocks
from tests.unit.pruning.conftest import SIZES
from tests.unit.pruning.statistics.inputs import seen

WINDOWS = torch.arange(6 * 24).view(6, 24) * 37 % 256
SAMPLES, LENGTH = WINDOWS.shape
CLOSE = 1e-5
LLAMA_7B = BlockStructure(32, 32, 128, 11_008, (), 0)


@pytest.fixture(params=[4, 8], ids=["queries as wide as the model", "wider"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    """Grouped queries: 8 heads, 4 key/value heads; ``q_proj`` is 32 x 32 or 64 x 32."""
    torch.manual_seed(3)
    sizes = {"num_hidden_layers": 2, "head_dim": request.param, "intermediate_size": 120}
    made: PreTrainedModel = LlamaForCausalLM(LlamaConfig(**{**SIZES, **sizes}))
    for block in blocks_of(made):  # inputs of very unlike sizes
        for norm in ("input_layernorm", "post_attention_layernorm"):
            block.get_parameter(f"{norm}.weight").data = torch.rand(32) * 3 + 0.05
        for kind in ("v_proj", "up_proj"):
            matrix = matrix_of(block, kind)
            matrix.weight.data.mul_(torch.rand(matrix.out_features, 1) * 40)
    made.requires_grad_(False)
    made.train(False)
    return made


def slow_scores(model: PreTrainedModel, index: int) -> list[float]:
    """``||(|W_up| x)_j|| + ||(|W_gate| x)_j|| + ||(|W_down| x)_:,j||``, x the root mean square."""
    inputs, total = seen(model, WINDOWS), [0.0] * 120
    for kind in MLP:
        fed = inputs[index, kind].tolist()
        x = [math.sqrt(sum(row[j] ** 2 for row in fed) / len(fed)) for j in range(len(fed[0]))]
        weight = matrix_of(blocks_of(model)[index], kind).weight.double().tolist()
        for channel in range(120):
            if kind == "down_proj":
                entries = [abs(row[channel]) * x[channel] for row in weight]
            else:
                entries = [abs(w) * x[j] for j, w in enumerate(weight[channel])]
            total[channel] += math.sqrt(sum(entry**2 for entry in entries))
    return total


def slow_scale(model: PreTrainedModel, index: int, kind: str) -> torch.Tensor:
    """The root of the mean over samples of the squared norm of each input channel."""
    samples = seen(model, WINDOWS)[index, kind].view(SAMPLES, LENGTH, -1).tolist()
    squares = [
        [sum(token[j] ** 2 for token in sample) for sample in samples]
        for j in range(len(samples[0][0]))
    ]
    return torch.tensor([math.sqrt(sum(one) / len(one)) for one in squares]).double()


def slow_product(weight: torch.Tensor, rank: int, scale: torch.Tensor) -> torch.Tensor:
    """``W D V_k V_k^T D^-1`` with the eigenvectors of ``D W^T W D``: what factors multiply to."""
    scaled = weight.double() @ torch.diag(scale)
    _, vectors = torch.linalg.eigh(scaled.T @ scaled)
    best = vectors[:, -rank:]
    product: torch.Tensor = scaled @ best @ best.T @ torch.diag(1 / scale)
    return product


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found.double(), expected.double(), rtol=CLOSE, atol=CLOSE)


def test_channels_are_scored_by_weights_times_what_they_are_fed(model: PreTrainedModel) -> None:
    def visit(index: int, statistics: BlockStatistics) -> None:
        found = scores(blocks_of(model)[index], statistics)
        expected = torch.tensor(slow_scores(model, index)).double()
        torch.testing.assert_close(found, expected, rtol=CLOSE, atol=0.0)

    visit_blocks(model, WINDOWS, (0, 1), visit, kinds=MLP)


@pytest.mark.parametrize("kind", ATTENTION)
def test_factors_are_the_weighted_decomposition(model: PreTrainedModel, kind: str) -> None:
    weight = matrix_of(blocks_of(model)[0], kind).weight

    def visit(_index: int, statistics: BlockStatistics) -> None:
        scale = slow_scale(model, 0, kind)
        found = scales(statistics[kind], SAMPLES)
        torch.testing.assert_close(found, scale, rtol=CLOSE, atol=0.0)
        left, right = factored(weight, 7, found)
        close(left @ right, slow_product(weight, 7, scale))
        # The singular values are shared out evenly, and each direction by itself.
        scaled = right.double() * scale
        singular = torch.linalg.svdvals(weight.double() * scale)[:7]
        torch.testing.assert_close(
            left.double().T @ left.double(), singular.diag(), atol=1e-4, rtol=1e-4
        )
        torch.testing.assert_close(scaled @ scaled.T, singular.diag(), atol=1e-4, rtol=1e-4)
        plain, bare = factored(weight, 7, None)
        close(plain @ bare, slow_product(weight, 7, torch.ones_like(scale)))

    visit_blocks(model, WINDOWS, (0,), visit, kinds=ATTENTION)


def test_an_input_that_is_always_0_has_a_scale_to_divide_by() -> None:
    statistics = InputStatistics()
    statistics.add(torch.tensor([[0.0, 3.0], [0.0, 4.0]]))
    close(scales(statistics, 1), torch.tensor([1e-4, 5.0]))
    left, right = factored(torch.randn(3, 2), 1, scales(statistics, 1))
    assert bool(torch.isfinite(left @ right).all())


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_each_block_is_decomposed_by_what_the_cut_one_before_writes(
    model: PreTrainedModel, rate: float
) -> None:
    cut = Lorap()(model, Plan({0: rate, 1: rate}), WINDOWS)
    twin = copy.deepcopy(model)
    for index in (0, 1):
        block = read_block(blocks_of(model)[index], index)
        ranks = ranks_of(block, 32, rate)
        assert {kind for place, kind in cut.factors if place == index} == set(ranks)
        for kind, rank in ranks.items():
            left, right = cut.factors[index, kind]
            assert left.shape[1] == right.shape[0] == rank
            weight = matrix_of(blocks_of(model)[index], kind).weight
            close(left @ right, slow_product(weight, rank, slow_scale(twin, index, kind)))
        count = channels_left(block, 32, rate)
        score = torch.tensor(slow_scores(twin, index))
        order = score.sort().indices.tolist()
        expected = {order[0], *order[len(order) - count + 1 :]}  # a hundredth of 120 is one
        assert set(cut.kept[index].channels) == expected
        assert cut.kept[index].heads == tuple(range(8))
        own = {key: pair for key, pair in cut.factors.items() if key[0] == index}
        apply(twin, Cut({index: cut.kept[index]}, factors=own))
    whole = slow_scale(model, 1, "q_proj")
    assert not torch.allclose(whole, slow_scale(twin, 1, "q_proj"), rtol=1e-3)


def test_the_lowest_hundredth_stays_with_the_best() -> None:
    score = torch.randperm(300, generator=torch.Generator().manual_seed(0)).double()
    found = {int(score[place]) for place in best_and_least(score, 100)}
    assert found == {0, 1, 2, *range(203, 300)}
    assert best_and_least(torch.arange(5), 2) == (3, 4)
    assert best_and_least(torch.arange(200), 1) == (0,)


def test_ranks_of_llama_7b_are_those_published() -> None:
    """At 20 % values and outputs stay whole; ranks of square matrices of 4,096."""
    assert ranks_of(LLAMA_7B, 4096, 0.2) == {"q_proj": 1228, "k_proj": 1228}
    half = {"q_proj": 512, "k_proj": 512, "v_proj": 1536, "o_proj": 1536}
    assert ranks_of(LLAMA_7B, 4096, 0.5) == half
    assert channels_left(LLAMA_7B, 4096, 0.5) == 11_008 // 2
    assert ranks_of(LLAMA_7B, 4096, 0.0) == {}


def test_with_grouped_queries_both_of_a_pair_keep_the_same_share() -> None:
    """Llama 3 8B: K and V have 1,024 rows. Half of the weights, three quarters of them for V, O."""
    block = BlockStructure(32, 8, 128, 14_336, (), 0)
    shares = kept_shares(block, 0.5)
    assert shares == {"q_proj": 0.25, "k_proj": 0.25, "v_proj": 0.75, "o_proj": 0.75}
    ranks = ranks_of(block, 4096, 0.5)
    narrow, wide = 1024 * 4096 / (1024 + 4096), 4096 / 2
    assert ranks["k_proj"] == math.floor(narrow / 4)
    assert ranks["v_proj"] == math.floor(narrow * 3 / 4)
    assert (ranks["q_proj"], ranks["o_proj"]) == (wide / 4, wide * 3 / 4)


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.35, 0.5, 0.7])
@pytest.mark.parametrize(
    ("block", "hidden"),
    [
        (LLAMA_7B, 4096),
        (BlockStructure(14, 2, 64, 4864, (), 0), 896),  # Qwen2 0.5B
        (BlockStructure(8, 4, 8, 172, (), 0), 64),  # stories260k
    ],
)
def test_the_weights_left_are_those_asked_for_within_a_hundredth(
    block: BlockStructure, hidden: int, rate: float
) -> None:
    ranks = ranks_of(block, hidden, rate)
    left = 3 * hidden * channels_left(block, hidden, rate)
    for kind in ATTENTION:
        d_out, d_in = block.shape(kind, hidden)
        left += ranks[kind] * (d_out + d_in) if kind in ranks else d_out * d_in
    asked = (1 - rate) * sum(math.prod(block.shape(kind, hidden)) for kind in block.modules)
    assert left == pytest.approx(asked, rel=0.01)
    # What rounding down has left over is a few channels at most.
    assert channels_left(block, hidden, rate) - (1 - rate) * block.ffn < 4


def test_weighted_factors_are_nearer_where_it_matters(model: PreTrainedModel) -> None:
    """The error weighed by what is fed is smaller, the plain one larger."""
    weight, scale = matrix_of(blocks_of(model)[0], "q_proj").weight, slow_scale(model, 0, "q_proj")
    errors = []
    for given in (scale, None):
        left, right = factored(weight, 7, given)
        apart = (weight - left @ right).double()
        errors.append((float((apart * scale).norm()), float(apart.norm())))
    assert errors[0][0] < 0.95 * errors[1][0]
    assert errors[0][1] > 1.05 * errors[1][1]
