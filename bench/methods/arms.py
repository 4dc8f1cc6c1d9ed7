"""Arms: the ways to prune that are compared, and what is published of their order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from pruning.methods.plan import TrainingSettings
from pruning.methods.settings import PrunerName
from pruning.rates.progression import steepest
from pruning.rates.rates import Sizes
from pruning.rates.rules import AlphaPruning, Arithmetic, Cfsp, DepthLinear, RateRule, Rmi

Rule = Callable[[float, Sizes], RateRule]


@dataclass(frozen=True)
class Arm:
    """One way to prune.

    Attributes:
        method: By its name.
        rule: Makes the rule that shares the ratio out; None for uniform rates.
        with_bias: Whether what a method adds to biases, or to weights, is kept.
        training: Of a method that trains, on more windows than others look at.
    """

    method: PrunerName
    rule: Rule | None = None
    with_bias: bool = True
    training: TrainingSettings | None = None


_LORAPRUNE = Arm(PrunerName.LORAPRUNE, training=TrainingSettings())

ARMS: Mapping[str, Arm] = MappingProxyType(
    {
        **{name.value: Arm(name) for name in PrunerName},
        "loraprune": _LORAPRUNE,
        "loraprune-cut-only": replace(_LORAPRUNE, with_bias=False),
        "loraprune/fast": replace(_LORAPRUNE, training=TrainingSettings(learning_rate=3e-3)),
        "flap-no-bias": Arm(PrunerName.FLAP, with_bias=False),
        "taylor/atp": Arm(
            PrunerName.TAYLOR, lambda ratio, sizes: Arithmetic(steepest(ratio, sizes) / 2)
        ),
        "taylor/falling": Arm(PrunerName.TAYLOR, lambda ratio, _: DepthLinear(1.5 * ratio)),
        "taylor/alpha-pruning": Arm(PrunerName.TAYLOR, lambda *_: AlphaPruning()),
        "taylor/rmi": Arm(PrunerName.TAYLOR, lambda ratio, _: Rmi(0.3 * ratio)),
        "taylor/cfsp": Arm(PrunerName.TAYLOR, lambda *_: Cfsp()),
    }
)

ORDERINGS = (
    ("taylor", "random", "a criterion against chance"),
    ("taylor", "magnitude", "LLM-Pruner: gradients against weights alone"),
    ("wanda-structured", "magnitude", "Wanda: what is fed against weights alone"),
    ("flap", "flap-no-bias", "FLAP: with its bias against without"),
    ("flap", "wanda-structured", "FLAP: fluctuation against norms"),
    ("loraprune", "taylor", "LoRAPrune, trained meanwhile, against LLM-Pruner, untrained"),
    ("loraprune/fast", "taylor", "the same at thirty times the rate"),
    ("loraprune-cut-only", "taylor", "LoRAPrune's choice alone: its adapter left out"),
    ("lorap", "lorap-plain", "LoRAP: factors weighted by what is fed against plain ones"),
    ("taylor/atp", "taylor", "ATP: rates that rise against equal ones"),
    ("taylor/atp", "taylor/falling", "ATP: rates that rise against rates that fall"),
    ("taylor/alpha-pruning", "taylor", "AlphaPruning: by tails against equal rates"),
    ("taylor/rmi", "taylor", "LoSA: by redundancy against equal rates"),
    ("taylor/cfsp", "taylor", "CFSP: by angular distance against equal rates"),
)
"""The better one, the other, and who says so."""
