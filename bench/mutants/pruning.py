"""What is cut of a model: rates, statistics, methods."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.mutants.mutant import Mutant

PASSAGE = "tests/unit/pruning/statistics/test_passage.py"
STATISTICS = "tests/unit/pruning/statistics/test_input_statistics.py"
PROGRESSION = "tests/unit/pruning/rates/test_progression.py"
EXPONENTS = "tests/unit/pruning/rates/test_tail_exponent.py"

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
    }
)
