"""Adapters and the loss: their scale, products, copies and derivatives."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.mutants.mutant import Mutant

BACK_ENDS = "tests/unit/tuning/test_back_ends.py"
ELASTIC = "tests/unit/tuning/test_elastic.py"
LORA = "tests/unit/tuning/lora/test_adapter.py"
LOSSES = "tests/unit/tuning/test_losses.py"
PRODUCT = "tests/unit/tuning/lora/test_product.py"
LANES = "tests/unit/tuning/stacked/test_training.py"
SHOWN = "tests/unit/tuning/stacked/test_adapter.py"

MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {
        "the scale follows the rank": Mutant(
            "tuning/peft_back_end.py",
            "alpha_pattern={key: alpha_per_rank * rank for key, rank in patterns.items()},",
            "alpha_pattern={},",
            BACK_ENDS,
        ),
        "further scores of a survey are those of an untrained adapter": Mutant(
            "worker/trial/surveying.py",
            "attached.load(kept)",
            "del kept",
            "tests/unit/worker/test_surveying.py",
        ),
        "an unused row of an elastic adapter is trained": Mutant(
            "tuning/lora/linear.py", "if rank == self.largest:", "if True:", ELASTIC
        ),
        "an adapter computes with old copies": Mutant(
            "tuning/lora/masters.py", "self._copy.copy_(self._values)", "pass", LORA
        ),
        "the gradient of A is not scaled": Mutant(
            "tuning/lora/product.py",
            "above.mm(second).mul_(ctx.scale)",
            "above.mm(second)",
            PRODUCT,
        ),
        "the slope of a capped logit is one": Mutant(
            "tuning/losses.py", "gradient.mul_(logits.div_", "(logits.div_", LOSSES
        ),
        "the gradient of a sum is handed back": Mutant(
            "tuning/losses.py", "of_hidden.float() * gradient[:, None]", "of_hidden", LOSSES
        ),
        "the loss of a pair is a sum": Mutant(
            "tuning/training.py", "targets = len(forms) * sum", "targets = sum", ELASTIC
        ),
        "lanes are clipped by the norm of all": Mutant(
            "tuning/stacked/masters.py", ".norm(dim=1, keepdim=True)", ".norm()", LANES
        ),
        "a lane that leaves takes another's place along": Mutant(
            "tuning/stacked/masters.py",
            "self.parameters[lane].data = self._values[slot]",
            "pass",
            LANES,
        ),
        "gradients stay behind where lanes change places": Mutant(
            "tuning/stacked/masters.py",
            "for rows in (self._values, self._gradients):",
            "for rows in (self._values,):",
            LANES,
        ),
        "a lane is saved with its padding": Mutant(
            "tuning/stacked/adapter.py",
            "name: (found[name][0][:rank], found[name][1][:, :rank])",
            "name: found[name]",
            SHOWN,
        ),
    }
)
