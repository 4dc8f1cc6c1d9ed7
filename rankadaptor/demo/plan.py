"""What the demo does, in numbers, each with its reason."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from rankadaptor.demo.base_model import Size

STUDY = """\
# The demo's study. Change it and run it again: rankadaptor submit {file}
name: demo
model: {model}
recipe:
  data: {{train: {data}, format: text, held_out: {held_out}}}
  sequence_length: 64
  batch: {{examples: 16, micro: 16}}
  optimizer: {{learning_rate: 1.0e-2, warmup_steps: 4}}
search:
  ranks: [0, 1, 2, 4, 8]       # 0 lets a matrix go without an adapter
  granularity: module          # one rank per weight matrix
  budget: {{parameters: "uniform:1", trials: {trials}}}   # tight: where ranks matter most
  trial: {{steps: {trial_steps}}}
  strategy: additive
verify:
  candidates: 3
  seeds: 5
  max_trials: 44
  random_control: true         # as many random vectors, to see what chance alone finds
  controls: [o_proj, down_proj, largest-gradient, eva]   # and what needs no search at all
  rates: [0.33, 1, 3]          # does the gain hang on the learning rate?
  at: recipe                   # does it last the whole recipe? winner and uniform, 3 seeds each
recover: {{steps: {recover_steps}}}
"""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """The numbers.

    Attributes:
        size: The base model.
        pruned_blocks: Cut hard; the others are left whole, so that layers really differ.
        ratio: Share of heads and channels removed from them.
        trials: Search trials; as many random ones run beside them as a control.
        trial_steps: Enough to tell vectors apart, few enough for minutes in all.
        recover_steps: The full fine-tunes of the winner and of uniform.
        workers: Processes of one thread each.
        held_out: Windows of text, half for the search's scores and half for the final ones.
    """

    size: Size = field(default_factory=Size)
    pruned_blocks: tuple[int, ...] = (0, 1, 2, 3)
    ratio: float = 0.8
    trials: int = 40
    trial_steps: int = 40
    recover_steps: int = 200
    workers: int = 2
    held_out: int = 512

    def study_yaml(self, file: Path, model: Path, data: Path) -> str:
        return STUDY.format(
            file=file,
            model=json.dumps(str(model)),  # quoted: a path may hold what YAML would read
            data=json.dumps(str(data)),
            trials=self.trials,
            trial_steps=self.trial_steps,
            recover_steps=self.recover_steps,
            held_out=self.held_out,
        )
