"""What is cut of a model: rates, statistics, methods."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.mutants.mutant import Mutant

PASSAGE = "tests/unit/pruning/statistics/test_passage.py"
STATISTICS = "tests/unit/pruning/statistics/test_input_statistics.py"
PROGRESSION = "tests/unit/pruning/rates/test_progression.py"
EXPONENTS = "tests/unit/pruning/rates/test_tail_exponent.py"
FIDELITY = "tests/unit/pruning/methods/test_fidelity.py"
CONTRACT = "tests/unit/pruning/methods/test_contract.py"
LORAPRUNE = "tests/unit/pruning/methods/loraprune"
SCORES = f"{LORAPRUNE}/test_importance.py"
TRAINED = f"{LORAPRUNE}/test_method.py"
LORAP = "tests/unit/pruning/methods/lorap/test_fidelity.py"
FACTORED = "tests/unit/pruning/factored/test_publication.py"

MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {
        "a progression is centred as if blocks were equal": Mutant(
            "pruning/rates/progression.py",
            "ratio + step * (place - centre)",
            "ratio + step * (place - (len(sizes) - 1) / 2)",
            PROGRESSION,
        ),
        "a line in depth falls where it should rise": Mutant(
            "pruning/rates/progression.py",
            "ratio + slope * (depth - middle)",
            "ratio - slope * (depth - middle)",
            PROGRESSION,
        ),
        "the exponent is of singular values, not of their squares": Mutant(
            "pruning/rates/tail_exponent.py",
            "return 1.0 + k / drop",
            "return 1.0 + 2.0 * k / drop",
            EXPONENTS,
        ),
        "the heaviest tail is cut most": Mutant(
            "pruning/rates/exponent_mapping.py",
            "(exponents[index] - low)",
            "(high - exponents[index])",
            EXPONENTS,
        ),
        "the most redundant blocks lose least": Mutant(
            "pruning/rates/redundancy_mapping.py",
            "math.exp(-redundancies[i])",
            "math.exp(redundancies[i])",
            "tests/unit/pruning/rates/test_redundancy_mapping.py",
        ),
        "redundancy is of Gram matrices as they are": Mutant(
            "pruning/statistics/redundancy.py",
            "grams[index] = _centred(states.gram())",
            "grams[index] = states.gram()",
            "tests/unit/pruning/statistics/test_redundancy.py",
        ),
        "moments of batches are joined as if their means were equal": Mutant(
            "pruning/statistics/input_statistics.py",
            " + away.square() * (self.count * len(rows) / total)",
            "",
            STATISTICS,
        ),
        "a variance is over all, not over one less": Mutant(
            "pruning/statistics/input_statistics.py",
            "max(1, self.count - 1)",
            "max(1, self.count)",
            STATISTICS,
        ),
        "every block is called as the first one": Mutant(
            "pruning/statistics/hidden_states.py",
            "self._arguments[len(part)][index]",
            "self._arguments[len(part)][0]",
            PASSAGE,
        ),
        "the whole block feeds the next": Mutant(
            "pruning/statistics/passage.py", "if left is not None:", "if False:", PASSAGE
        ),
        "columns of an output matrix are scored as rows": Mutant(
            "pruning/methods/importance.py",
            "return 1 if kind in ROWS else 0",
            "return 1 if kind in (*ROWS, 'o_proj') else 0",
            FIDELITY,
        ),
        "taylor takes the magnitude of the sum": Mutant(
            "pruning/methods/taylor.py",
            "else change.abs().sum(axis)",
            "else change.sum(axis).abs()",
            FIDELITY,
        ),
        "magnitude sums weights, not their squares": Mutant(
            "pruning/methods/controls.py", ".float().square()", ".float().abs()", FIDELITY
        ),
        "random forgets its seed": Mutant(
            "pruning/methods/controls.py", "manual_seed(plan.seed)", "manual_seed(0)", FIDELITY
        ),
        "wanda forgets what a feature is fed": Mutant(
            "pruning/methods/wanda.py", "weights * statistics[kind].norm", "weights", FIDELITY
        ),
        "wanda is fed by the whole block before": Mutant(
            "pruning/methods/wanda.py",
            "return left_features(block, kept[index])",
            "return None",
            FIDELITY,
        ),
        "wanda takes rows for columns": Mutant(
            "pruning/methods/wanda.py",
            "weight.detach().abs().double().mean(dim=0)",
            "weight.detach().T.reshape(matrix_of(block, kind).weight.shape).abs().double()"
            ".mean(dim=0)",
            FIDELITY,
        ),
        "flap does not standardise": Mutant(
            "pruning/methods/flap.py",
            "_standardised(statistics[kind].variance * squares)",
            "(statistics[kind].variance * squares).float()",
            FIDELITY,
        ),
        "flap scores the mean square, not the fluctuation": Mutant(
            "pruning/methods/flap.py",
            "statistics[kind].variance * squares",
            "statistics[kind].norm.square() * squares",
            FIDELITY,
        ),
        "flap's bias has the wrong sign": Mutant(
            "pruning/methods/flap.py",
            "(weight @ lost).float()",
            "-(weight @ lost).float()",
            FIDELITY,
        ),
        "flap's bias is of what stays": Mutant(
            "pruning/methods/flap.py", "* ~left.to(", "* left.to(", FIDELITY
        ),
        "flap weighs a head as much as a channel": Mutant(
            "pruning/methods/flap.py",
            "return (2 * block.heads // block.kv_heads + 2) * block.head_dim",
            "return 3.0",
            FIDELITY,
        ),
        "depth-taylor sums before the magnitude": Mutant(
            "pruning/methods/depth.py",
            "float(change.abs().sum(dtype=torch.float64))",
            "abs(float(change.sum(dtype=torch.float64)))",
            FIDELITY,
        ),
        "depth-perplexity leaves the block in": Mutant(
            "pruning/methods/depth.py", "layers[index] = _Passing()", "pass", FIDELITY
        ),
        "depth drops what is worth most": Mutant(
            "pruning/methods/depth.py",
            "key=lambda index: scores[index])",
            "key=lambda index: -scores[index])",
            FIDELITY,
        ),
        "loraprune adds the product of both gradients": Mutant(
            "pruning/methods/loraprune/importance.py",
            "(down - of_down)",
            "(down + of_down)",
            SCORES,
        ),
        "loraprune forgets the adapter's scale": Mutant(
            "pruning/methods/loraprune/importance.py", "alpha=scale", "alpha=1.0", SCORES
        ),
        "loraprune does not normalise a matrix": Mutant(
            "pruning/methods/loraprune/importance.py",
            "groups / (groups.norm() + EPSILON)",
            "groups",
            SCORES,
        ),
        "loraprune deals heads out to groups one by one": Mutant(
            "pruning/methods/loraprune/importance.py",
            "features.view(kv_heads, -1).sum(dim=1)",
            "features.view(-1, kv_heads).sum(dim=0)",
            SCORES,
        ),
        "loraprune adds scores up and forgets none": Mutant(
            "pruning/methods/loraprune/average.py",
            "self._decay * old",
            "old",
            f"{LORAPRUNE}/test_average.py",
        ),
        "loraprune lets what is masked come back": Mutant(
            "pruning/methods/loraprune/masks.py",
            ".masked_fill(~stays, -torch.inf)",
            "",
            f"{LORAPRUNE}/test_masks.py",
        ),
        "loraprune masks nothing while it trains": Mutant(
            "pruning/methods/loraprune/masks.py",
            "written if rows is None else written * rows",
            "written",
            TRAINED,
        ),
        "loraprune stops masking before the end of the rise": Mutant(
            "pruning/methods/loraprune/schedule.py",
            "step == self.last or ",
            "",
            f"{LORAPRUNE}/test_schedule.py",
        ),
        "what was learned is left out of the weights": Mutant(
            "pruning/methods/change.py", "if change.learned is not None:", "if False:", TRAINED
        ),
        "lorap forgets to divide by what it has multiplied with": Mutant(
            "pruning/methods/lorap/factoring.py", "right = right / scale", "pass", LORAP
        ),
        "lorap weighs outputs, not inputs": Mutant(
            "pruning/methods/lorap/factoring.py",
            "else wide * scale, full",
            "else (wide.T * scale[0]).T, full",
            LORAP,
        ),
        "lorap keeps the directions that matter least": Mutant(
            "pruning/methods/lorap/factoring.py",
            "u[:, :rank] * root, root[:, None] * v[:rank]",
            "u[:, -rank:] * root, root[:, None] * v[-rank:]",
            LORAP,
        ),
        "lorap has all of a singular value on one side": Mutant(
            "pruning/methods/lorap/factoring.py",
            "u[:, :rank] * root, root[:, None] * v[:rank]",
            "u[:, :rank] * root.square(), v[:rank]",
            LORAP,
        ),
        "lorap takes the sum over samples for the mean": Mutant(
            "pruning/methods/lorap/factoring.py", " / samples**0.5", "", LORAP
        ),
        "lorap gives queries and keys what is for values and outputs": Mutant(
            "pruning/methods/lorap/allocation.py",
            'kind in ("v_proj", "o_proj")',
            'kind in ("q_proj", "k_proj")',
            LORAP,
        ),
        "lorap's attention loses what its whole matrices save": Mutant(
            "pruning/methods/lorap/allocation.py",
            "shares = (budget - of_second) / first",
            "shares = budget / (1.0 + RATIO) / first",
            LORAP,
        ),
        "lorap scores channels by weights alone": Mutant(
            "pruning/methods/lorap/channels.py", ".square() * mean_square", ".square()", LORAP
        ),
        "lorap scores rows of down for its columns": Mutant(
            "pruning/methods/lorap/channels.py",
            "down.sum(dim=0)",
            "down.T.reshape(down.shape).sum(dim=0)",
            LORAP,
        ),
        "lorap drops the lowest hundredth": Mutant(
            "pruning/methods/lorap/channels.py", "LEAST = 0.01", "LEAST = 0.0", LORAP
        ),
        "lorap is fed by whole attention": Mutant(
            "pruning/methods/lorap/method.py",
            'return {**left, "down_proj": stays}',
            'return {"down_proj": stays}',
            LORAP,
        ),
        "a merged adapter loses its scale in factors": Mutant(
            "pruning/publishing/merging.py",
            "low.scale * low.second.to(device, wide)",
            "low.second.to(device, wide)",
            FACTORED,
        ),
        "blocks that stay keep their places in the cache": Mutant(
            "pruning/methods/surgery.py", "part.layer_idx = place", "pass", CONTRACT
        ),
        "windows of attention do not move with their blocks": Mutant(
            "pruning/methods/surgery.py",
            "[types[index] for index in left]",
            "types[: len(left)]",
            CONTRACT,
        ),
    }
)
