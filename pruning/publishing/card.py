"""The model card: what a published model is, what of, how good, and under which licence."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from pruning.cards.licence import Licence
from pruning.publishing.form import Form
from rankspace.redaction import as_markdown, visible

_CARD = """\
---
{head}---
# {title}

A pruned language model, recovered with one LoRA rank per weight matrix; the adapter is merged.

| | |
|---|---|
| pruned model | {base} |
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
    """What a published model is of; its texts may hold anything, the card shows it as it is.

    Attributes:
        title: Name of the study, or another.
        base: Directory of the pruned model; the card has its name alone.
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
    licence: Licence | None


def card_of(origin: Origin, form: Form, *, parameters: int, dtype: str, differs: str) -> str:
    """Return the card; ``differs`` is what its reader must know of the form."""
    use = _USE[form] + (f"\n\nMind that {differs}." if differs else "")
    return _CARD.format(
        head=yaml.safe_dump(_head(origin, form), allow_unicode=True, sort_keys=True),
        title=as_markdown(origin.title),
        base=as_markdown(Path(origin.base).name),
        fingerprint=origin.fingerprint,
        adapter=origin.adapter or "no adapter: every rank is 0",
        parameters=parameters,
        dtype=dtype,
        licence=origin.licence.markdown if origin.licence else _UNSTATED,
        use=use,
        verdict=visible(origin.verdict, keep="\n"),
        recipe=visible(json.dumps(origin.recipe, indent=2, ensure_ascii=False), keep="\n"),
    )


def _head(origin: Origin, form: Form) -> dict[str, Any]:
    return {
        "base_model": visible(Path(origin.base).name),
        "library_name": "gguf" if form is Form.GGUF else "transformers",
        **(origin.licence.head if origin.licence else {"license": "unknown"}),
        "tags": ["lora", "pruned", "rankadaptor"],
    }
