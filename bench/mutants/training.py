"""What training is: updates, rates, clipping, types."""

from collections.abc import Mapping
from types import MappingProxyType

from bench.mutants.mutant import Mutant

TRAINING = "tests/unit/tuning/test_training.py"
UPDATES = "tests/unit/tuning/test_updates.py"

MUTANTS: Mapping[str, Mutant] = MappingProxyType(
    {
        "gradients are not clipped": Mutant(
            "tuning/training.py",
            "torch.nn.utils.clip_grad_norm_(self._parameters, self._settings.gradient_clip)",
            "pass",
            UPDATES,
        ),
        "weight decay is ignored": Mutant(
            "tuning/training.py",
            "weight_decay=optimizer.weight_decay",
            "weight_decay=0.0",
            UPDATES,
        ),
        "an update is looked at when it is made": Mutant(
            "tuning/training.py",
            "        if self._before_update is not None:\n            self._before_update(step)\n"
            "        self._adamw.step()\n",
            "        self._adamw.step()\n        if self._before_update is not None:\n"
            "            self._before_update(step)\n",
            UPDATES,
        ),
        "the learning rate stays at its peak": Mutant(
            "tuning/training.py",
            'group["lr"] = learning_rate(self._settings, step, self._steps)',
            'group["lr"] = self._settings.learning_rate',
            UPDATES,
        ),
        "gradients are kept from step to step": Mutant(
            "tuning/training.py",
            "        self._adamw.step()\n        self._adamw.zero_grad()\n",
            "        self._adamw.step()\n",
            UPDATES,
        ),
        "gradients are kept when a step is repeated": Mutant(
            "tuning/training.py", "        forget()\n", "", TRAINING
        ),
        "autocast never": Mutant(
            "tuning/training.py", "if dtype is torch.bfloat16:", "if False:", TRAINING
        ),
        "autocast always": Mutant(
            "tuning/training.py", "if dtype is torch.bfloat16:", "if True:", TRAINING
        ),
        "measured without autocast": Mutant(
            "tuning/measuring.py",
            "with autocast(device, model.dtype):",
            "with autocast(device, torch.float32):",
            TRAINING,
        ),
    }
)
