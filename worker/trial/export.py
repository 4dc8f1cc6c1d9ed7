"""Export: the adapter as the files that a study hands out."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from rankspace.errors import CannotOpen
from rankspace.lease import CONFIG, NOTE, Assignment
from rankspace.observation import Measurement
from rankspace.redaction import as_markdown
from tuning.back_ends import Attached

_README = """\
---
library_name: peft
base_model: {literal}
---
# LoRA adapter of study {title}

Rank per weight matrix found by RankAdaptor; alpha = {alpha} x rank everywhere.

| | |
|---|---|
| base model | `{model}` |
| fingerprint | `{fingerprint}` |
| held-out loss | {loss:.6f} nats per token ({split} half) |
| trainable parameters | {parameters:,} |
| steps, seed | {steps}, {seed} |

{usage}

## Ranks

Rank 0 (no adapter) where a matrix is not listed.

| matrix | rank |
|---|---|
{ranks}
"""

_USAGE = """\
In this directory, on a machine that has the base model:

```python
from peft import PeftModel
from pruning.container import load

model = PeftModel.from_pretrained(load({literal}).model, ".")
```"""

_NO_ADAPTER = "Every rank is 0: the base model is used as it is, there is nothing to load."

_BYTES = 4
"""Of a trained parameter, whatever the base weights are."""

_MARGIN = 1 << 20
"""Bytes of the other files and the reports that come meanwhile."""


def check_room(assignment: Assignment, directory: Path) -> None:
    """Find out before the training whether there is room for what it makes.

    Raises:
        CannotOpen: There is not: another worker, or this one later, may have it.
    """
    costs = [layer.parameters_per_rank for layer in assignment.layers]
    needed = _BYTES * assignment.rank_vector.parameters(costs) + _MARGIN
    try:
        free = shutil.disk_usage(directory.parent).free
    except OSError:  # made anew when it is needed
        return
    if free < needed:
        problem = f"has {free >> 20:,} MiB left, the adapter takes up to {needed >> 20:,}"
        fix = "make room there, or set RANKADAPTOR_SPOOL_DIRECTORY to a directory with room"
        raise CannotOpen("spool_directory", str(directory.parent), problem, fix=fix)


def export(
    attached: Attached,
    assignment: Assignment,
    measurement: Measurement,
    ranks: Mapping[str, int],
    directory: Path,
) -> None:
    """Write ``ADAPTER_FILES`` into ``directory``; only the note when no matrix has an adapter."""
    directory.mkdir(parents=True, exist_ok=True)
    attached.save(directory)
    config = directory / CONFIG
    if config.exists():
        _complete(config, assignment.model_path)
    readme = readme_of(assignment, measurement, ranks)
    (directory / NOTE).write_text(readme, encoding="utf-8")


def readme_of(assignment: Assignment, measurement: Measurement, ranks: Mapping[str, int]) -> str:
    """Return the model card."""
    literal = json.dumps(assignment.model_path, ensure_ascii=False)  # YAML and Python read it too
    return _README.format(
        model=assignment.model_path,
        title=as_markdown(assignment.study_name),
        alpha=f"{assignment.recipe.alpha_per_rank:g}",
        fingerprint=assignment.model_fingerprint,
        loss=measurement.loss,
        split=assignment.split,
        parameters=measurement.parameters,
        steps=measurement.steps,
        seed=assignment.seed,
        literal=literal,
        usage=_USAGE.format(literal=literal) if ranks else _NO_ADAPTER,
        ranks="\n".join(f"| `{name}` | {rank} |" for name, rank in ranks.items()),
    )


def _complete(config: Path, model_path: str) -> None:
    # peft writes a set in its hash order: sorted, the same trial gives the same file. It knows the
    # base model only of one that from_pretrained opened.
    settings = json.loads(config.read_text(encoding="utf-8"))
    settings["base_model_name_or_path"] = model_path
    settings["target_modules"] = sorted(settings["target_modules"])
    config.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
