"""A worker's trials: the base, the tokenizer, the inputs, the watchdog."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.mutants.mutant import Mutant

INPUTS = "tests/unit/worker/test_trial_inputs.py"
RESIDENT = "tests/unit/worker/test_resident.py"
WATCHDOG = "tests/unit/worker/test_watchdog.py"

MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {
        "the base is float32 always": Mutant(
            "worker/trial/resident.py",
            'return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]',
            "return torch.float32",
            RESIDENT,
        ),
        "the base stays whatever its type": Mutant(
            "worker/trial/resident.py",
            "key != self._key or",
            "key[:2] != (self._key or ())[:2] or",
            RESIDENT,
        ),
        "a tokenizer stays whatever its model": Mutant(
            "worker/trial/resident.py",
            "key != self._key or",
            "key[::2] != (self._key or ())[::2] or",
            INPUTS,
        ),
        "a tokenizer stays whatever is asked for": Mutant(
            "worker/trial/resident.py", " or self._has_other_tokens(assignment):", ":", INPUTS
        ),
        "other data are trained on": Mutant(
            "worker/trial/evaluation.py", "check_inputs(assignment, inputs)", "pass", INPUTS
        ),
        "one weight of each tensor is compared": Mutant(
            "worker/trial/resident.py", "_SAMPLES = 256", "_SAMPLES = 1", RESIDENT
        ),
        "the watchdog hears no move": Mutant(
            "worker/lease/watchdog.py",
            "if time.monotonic() - self._set_at >= self._every:",
            "if False:",
            WATCHDOG,
        ),
    }
)
