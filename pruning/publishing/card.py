"""The model card: what a published model is, what of, how good, and under which licence."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from pruning.container.manifest import CARD
from rankspace.form import Form

_MOST_READ = 1 << 20
"""Characters of another card that are looked at; its first lines hold what is sought."""

_CARD = """\
---
{head}---
# {title}

A pruned language model, recovered with one LoRA rank per weight matrix; the adapter is merged.

| | |
|---|---|
| pruned model | `{base}` |
| its fingerprint | `{fingerprint}` |
| SHA-256 of the adapter | `{adapter}` |
| parameters | {parameters:,} |
| type of the weights | {dtype} |
| licence | {licence} |

{use}

{verdict}

## Recipe of the recovery

```json
{recipe}
```
"""

_USE: Mapping[Form, str] = MappingProxyType(
    {
        Form.MERGED: """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained(".")
tokenizer = AutoTokenizer.from_pretrained(".")
```""",
        Form.CONTAINER: """\
Its blocks may differ in size, which no stock class loads:

```python
from pruning.container import load

loaded = load(".")
loaded.model, loaded.tokenizer
```""",
        Form.GGUF: """\
```console
$ llama-cli -m model.gguf -p "Once upon a time"
```""",
    }
)

_UNSTATED = "not stated by the pruned model: ask its author before you pass this on"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a published model is of.

    Attributes:
        title: Name of the study, or another.
        base: Directory of the pruned model.
        fingerprint: Its identity.
        adapter: SHA-256 of the adapter's weights; empty where every rank is 0.
        recipe: How the adapter was trained; JSON types.
        verdict: What the study found, as Markdown.
        licence: As the pruned model's card has it; None if nowhere.
    """

    title: str
    base: str
    fingerprint: str
    adapter: str
    recipe: Mapping[str, Any]
    verdict: str
    licence: str | None


def card_of(origin: Origin, form: Form, *, parameters: int, dtype: str, differs: str) -> str:
    """Return the card; ``differs`` is what its reader must know of the form."""
    use = _USE[form] + (f"\n\nMind that {differs}." if differs else "")
    return _CARD.format(
        head=yaml.safe_dump(_head(origin, form), allow_unicode=True, sort_keys=True),
        title=origin.title,
        base=origin.base,
        fingerprint=origin.fingerprint,
        adapter=origin.adapter or "no adapter: every rank is 0",
        parameters=parameters,
        dtype=dtype,
        licence=origin.licence or _UNSTATED,
        use=use,
        verdict=origin.verdict,
        recipe=json.dumps(origin.recipe, indent=2, ensure_ascii=False),
    )


def licence_of(directory: Path) -> str | None:
    """Return the licence that the card in ``directory`` states; None if there is none."""
    try:
        with (directory / CARD).open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MOST_READ)
    except OSError:
        return None
    head = text.removeprefix("---\n").split("\n---", 1)[0] if text.startswith("---\n") else ""
    try:
        stated = yaml.safe_load(head)
    except yaml.YAMLError:
        return None
    licence = stated.get("license") if isinstance(stated, dict) else None
    return licence if isinstance(licence, str) and licence else None


def _head(origin: Origin, form: Form) -> dict[str, Any]:
    return {
        "base_model": Path(origin.base).name,
        "library_name": "gguf" if form is Form.GGUF else "transformers",
        "license": origin.licence or "unknown",
        "tags": ["lora", "pruned", "rankadaptor"],
    }
