"""Task: a small Llama and examples that every side trains on, made on the spot from a seed."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pruning.container.structure import MODULES, matrix_name
from rankspace.recipe import Optimizer
from tuning.batches import schedule
from tuning.examples import Example

ALPHA_PER_RANK = 2.0
SEED = 0
OPTIMIZER = Optimizer(learning_rate=1e-2, warmup_steps=4)
HELD_OUT = 32
CHANCE = 0.2
"""Share of tokens that do not follow from the one before."""


@dataclass(frozen=True, slots=True)
class Task:
    """A model's size and a recipe; examples have up to ``length`` tokens, on average five eighths.

    Attributes:
        hidden: Width of the residual stream, 32 to a head.
        layers: Blocks.
        ffn: Width of the feed-forward layers.
        vocabulary: Tokens.
        length: Tokens of the longest example; the first quarter of each is only read.
        per_step: Examples of an update.
        micro: Examples of a pass.
        steps: Updates of a trial.
    """

    hidden: int
    layers: int
    ffn: int
    vocabulary: int
    length: int
    per_step: int
    micro: int
    steps: int

    def model(self, dtype: torch.dtype) -> Any:
        """A Llama of random weights with grouped queries, frozen, on the CPU."""
        config = LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.ffn,
            num_hidden_layers=self.layers,
            num_attention_heads=self.hidden // 32,
            num_key_value_heads=self.hidden // 64,
            use_cache=False,
        )
        torch.manual_seed(SEED)
        model: Any = LlamaForCausalLM(config)
        return model.to(dtype).train(False).requires_grad_(False)

    def ranks(self) -> dict[str, int]:
        """Ranks of 2 to 8 on all linear matrices of the blocks; every ninth has none."""
        names = [matrix_name(index, kind) for index in range(self.layers) for kind in MODULES]
        return {name: 2 + 2 * (place % 4) for place, name in enumerate(names) if place % 9 != 8}

    def examples(self) -> list[Example]:
        """Texts in which a token mostly follows from the one before: something to learn."""
        generator = torch.Generator().manual_seed(SEED)
        known = min(self.vocabulary, 512)
        following = torch.randperm(known, generator=generator)
        count = HELD_OUT + 4 * self.per_step
        lengths = torch.randint(self.length // 4, self.length + 1, (count,), generator=generator)
        return [self._example(int(n), following, generator) for n in lengths]

    def steps_of(self, examples: list[Example], steps: int) -> list[tuple[Example, ...]]:
        """The examples of each of ``steps`` steps, those that are held out left out."""
        return list(schedule(examples[HELD_OUT:], self.per_step, steps, SEED))

    @staticmethod
    def _example(length: int, following: torch.Tensor, generator: torch.Generator) -> Example:
        known = len(following)
        drawn = torch.randint(known, (length,), generator=generator)
        is_chance = torch.rand(length, generator=generator) < CHANCE
        for place in range(1, length):
            if not is_chance[place]:
                drawn[place] = following[drawn[place - 1]]
        return Example(drawn.int(), max(1, length // 4))


QUICK = Task(256, 4, 688, 4_000, 64, 16, 4, 5)
"""4.8 million weights."""
SMALL = Task(384, 6, 1024, 16_000, 128, 16, 4, 4)
"""22 million weights."""
