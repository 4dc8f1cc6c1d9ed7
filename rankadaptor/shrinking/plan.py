"""ShrinkPlan: what was asked for; a directory is begun with one, and goes on with no other."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rankspace.errors import InvalidInput

RECORD = "shrink.json"


@dataclass(frozen=True, slots=True)
class ShrinkPlan:
    """What decides the result; the paths are absolute.

    Attributes:
        model: The dense model.
        keep: Share of its parameters to keep, in (0, 1).
        data: What the pruned model is trained on.
        text: What pruning looks at.
        method: How to prune.
    """

    model: str
    keep: float
    data: str
    text: str
    method: str

    def begin(self, home: Path) -> None:
        """Make ``home``, or go on with what it holds.

        Raises:
            InvalidInput: It holds something else, or was begun with another plan.
        """
        record = home / RECORD
        if record.is_file():
            self._compare(json.loads(record.read_text(encoding="utf-8")), home)
            return
        if home.exists() and (not home.is_dir() or any(home.iterdir())):
            problem = "is there already, and was not begun by `rankadaptor shrink`"
            raise InvalidInput("--to", str(home), problem, fix="give a new directory")
        home.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    def _compare(self, begun: object, home: Path) -> None:
        known = begun if isinstance(begun, dict) else {}
        for name, value in asdict(self).items():
            if known.get(name) != value:
                field = "MODEL" if name == "model" else f"--{name}"
                problem = f"{home} was begun with {known.get(name)!r}"
                fix = "give that again to go on, or another directory"
                raise InvalidInput(field, value, problem, fix=fix)


def ratio_for(keep: float, total: int, within: int) -> float:
    """Return the share of the ``within`` parameters of some blocks to remove.

    So that ``keep`` of all ``total`` parameters are left: embeddings and spared blocks stay whole.

    Raises:
        InvalidInput: Out of range, or the blocks do not hold that much.
    """
    if not 0.0 < keep < 1.0:
        raise InvalidInput("--keep", keep, "must lie between 0 and 1", fix="use 0.6")
    ratio = (1.0 - keep) * total / within
    if ratio >= 1.0:
        least = 1.0 - within / total
        problem = f"embeddings and the blocks that stay whole are {least:.0%} of the model"
        raise InvalidInput("--keep", keep, problem, fix=f"keep more than {least:.2f}")
    return ratio
