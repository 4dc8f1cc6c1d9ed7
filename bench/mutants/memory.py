"""Plans of memory, and what a trial begins with."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.mutants.mutant import Mutant

DEVICE_MEMORY = "tests/unit/tuning/memory_plan/test_device_memory.py"
MEMORY_PLAN = "tests/unit/tuning/memory_plan/test_plan.py"
PLANNING = "tests/unit/worker/trial/test_planning.py"

MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {
        "what an MLP's adapters read is not counted": Mutant(
            "tuning/memory_plan/activations.py",
            '(inputs["down_proj"] if "down_proj" in ranks else 0)',
            "0",
            MEMORY_PLAN,
        ),
        "all logits are planned for at once": Mutant(
            "tuning/memory_plan/plan.py",
            "min(micro * self.logits, self.slice)",
            "micro * self.logits",
            MEMORY_PLAN,
        ),
        "blocks before the first adapter are counted": Mutant(
            "tuning/memory_plan/activations.py",
            "first = min(ranks, default=len(model.blocks))",
            "first = 0",
            MEMORY_PLAN,
        ),
        "a plan leaves nothing free": Mutant(
            "tuning/memory_plan/plan.py", "(1 - HEADROOM) * free", "free", MEMORY_PLAN
        ),
        "the groups around a process are forgotten": Mutant(
            "tuning/memory_plan/device_memory.py",
            "total, free = min(total, limit), min(free, limit - used)",
            "pass",
            DEVICE_MEMORY,
        ),
        "a trial of which nothing seems to fit gets no example": Mutant(
            "worker/trial/planning.py",
            "replace(asked, examples=1, rec",
            "replace(asked, examples=0, rec",
            PLANNING,
        ),
        "what memory ran out with is tried again": Mutant(
            "worker/trial/fitting.py", "        return smaller", "        return passes", PLANNING
        ),
        "a short example counts as a long one": Mutant(
            "tuning/batches.py",
            "* len(batches[-1][0].tokens) > most",
            "* len(examples[0].tokens) > most",
            "tests/unit/tuning/test_batches.py",
        ),
        "blocks computed twice keep everything": Mutant(
            "tuning/forward/recomputation.py",
            "            block.forward = partial(",
            "            unused = partial(",
            "tests/unit/tuning/forward/test_recomputation.py",
        ),
        "small passes never compute blocks twice": Mutant(
            "tuning/memory_plan/choice.py",
            "(plain and enough)",
            "plain",
            "tests/unit/tuning/memory_plan/test_choice.py",
        ),
        "every pass waits for the device": Mutant(
            "tuning/losses.py",
            ", past_key_values=nothing)",
            ")",
            "tests/unit/tuning/forward/test_nothing_kept.py",
        ),
        "a freed heap counts as taken": Mutant(
            "worker/trial/planning.py", "    memory.trim(device)", "    pass", PLANNING
        ),
    }
)
